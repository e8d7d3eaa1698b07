//! What a handler waits for that is no read: a named pipe that somebody opens.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A pipe under a name; whoever opens it to read waits until [`open`](Gate::open).
#[derive(Debug)]
pub struct Gate {
    path: PathBuf,
}

impl Gate {
    /// Makes one in a folder.
    #[must_use]
    pub fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(name);
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("a fresh name");
        Self { path }
    }

    /// Its path, for the command `gate`.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a plain path")
    }

    /// Lets the one who waits go on. Waits until somebody does.
    pub fn open(&self) {
        drop(self.open_for_writing());
    }

    fn open_for_writing(&self) -> File {
        OpenOptions::new()
            .write(true)
            .open(&self.path)
            .expect("the pipe is there")
    }
}

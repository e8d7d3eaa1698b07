//! Tests in namespaces of their own, which an ordinary user may make.

use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use crate::{run_alone, this};

/// Runs a test where `prepare`, a command of the shell, has succeeded within the `namespaces`, which are flags of unshare(1).
pub(crate) fn trial(name: &'static str, namespaces: &'static str, prepare: &str) -> Trial {
    let script = format!("{prepare} && exec \"$0\" \"$@\"");
    let within = move |program: &Path| {
        let mut command = Command::new("unshare");
        command.args([namespaces, "sh", "-c", &script]).arg(program);
        command
    };
    let mut probe = within(Path::new("true"));
    let probe = probe.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let can = probe.is_ok_and(|status| status.success());
    let shown = match can {
        true => name.to_owned(),
        false => format!("{name} (needs iproute2 and util-linux)"),
    };
    Trial::test(shown, move || run_alone(within(&this()), name)).with_ignored_flag(!can)
}

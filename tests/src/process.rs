//! A process seen through `/proc`: its descriptors, threads, children and CPU time.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::until;

/// A process by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(pub u32);

impl Process {
    pub(crate) fn pid(self) -> Pid {
        i32::try_from(self.0)
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id")
    }

    /// Sends it a signal.
    pub fn signal(self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is there");
    }

    /// Sends it a signal, if it is still there.
    pub fn try_signal(self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    /// Sends its whole group a signal, as a terminal does.
    pub fn signal_group(self, signal: Signal) {
        kill_process_group(self.pid(), signal).expect("the group is there");
    }

    /// Stops all its threads and lets them go on: each that waits in a system call finds itself interrupted.
    pub fn interrupt(self) {
        self.signal(Signal::STOP);
        // To go on takes back a stop that has not reached every thread yet.
        until(
            || self.is_stopped(),
            || "its threads do not stop".to_owned(),
        );
        self.signal(Signal::CONT);
    }

    /// Whether a signal has stopped it.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        self.tasks().all(|state| state == 'T')
    }

    /// The states of its threads.
    fn tasks(self) -> impl Iterator<Item = char> {
        let folder = fs::read_dir(format!("/proc/{}/task", self.0)).expect("the process is there");
        folder.flatten().filter_map(|entry| {
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            Stat::parse(&stat).map(|stat| stat.state)
        })
    }

    /// Whether it runs: one that has ended, and whose status nobody has taken yet, does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        self.stat().is_some_and(|stat| stat.state != 'Z')
    }

    /// What its descriptors are, by number.
    #[must_use]
    pub fn descriptors(self) -> Vec<String> {
        let folder = fs::read_dir(format!("/proc/{}/fd", self.0)).expect("the process is there");
        let mut links: Vec<_> = folder
            .flatten()
            .filter_map(|entry| {
                let to = fs::read_link(entry.path()).ok()?;
                Some(format!(
                    "{} -> {}",
                    entry.file_name().to_string_lossy(),
                    to.display()
                ))
            })
            .collect();
        links.sort();
        links
    }

    /// The names of its threads.
    #[must_use]
    pub fn threads(self) -> Vec<String> {
        let folder = fs::read_dir(format!("/proc/{}/task", self.0)).expect("the process is there");
        folder
            .flatten()
            .filter_map(|entry| fs::read_to_string(entry.path().join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect()
    }

    /// Its children that run, and those that nobody has waited for.
    #[must_use]
    pub fn children(self) -> Vec<(Process, char)> {
        let processes = fs::read_dir("/proc").expect("there is a /proc").flatten();
        let numbers = processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .map(Process);
        numbers
            .filter_map(|process| {
                process
                    .stat()
                    .filter(|stat| stat.parent == self.0)
                    .map(|stat| (process, stat.state))
            })
            .collect()
    }

    /// Its children that have ended and that nobody has waited for.
    #[must_use]
    pub fn zombies(self) -> usize {
        self.children()
            .iter()
            .filter(|(_, state)| *state == 'Z')
            .count()
    }

    /// Waits until it has no child at all, not even a dead one.
    pub fn expect_no_children(self) {
        until(
            || self.children().is_empty(),
            || format!("children are left: {:?}", self.children()),
        );
    }

    /// How much CPU time it has used.
    #[must_use]
    pub fn cpu(self) -> Duration {
        let ticks = self.stat().expect("the process is there").ticks;
        Duration::from_secs(ticks)
            / u32::try_from(rustix::param::clock_ticks_per_second()).expect("a small number")
    }

    /// How much memory it holds, in KiB.
    #[must_use]
    pub fn memory(self) -> u64 {
        self.status("VmRSS:")
    }

    /// How often its threads have left a processor. While that stays as it is, and all of them sleep, none has done anything.
    #[must_use]
    pub fn switches(self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0))
            .expect("the process is there")
            .flatten();
        let statuses = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
        statuses
            .map(|status| {
                status
                    .lines()
                    .filter(|line| line.contains("ctxt_switches:"))
                    .map(last_number)
                    .sum::<u64>()
            })
            .sum()
    }

    /// Whether it sleeps.
    #[must_use]
    pub fn sleeps(self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'S')
    }

    /// Whether it has ended. Nobody may have waited for it yet.
    #[must_use]
    pub fn has_ended(self) -> bool {
        self.stat().is_none_or(|stat| stat.state == 'Z')
    }

    /// How many sockets it has.
    #[must_use]
    pub fn sockets(self) -> usize {
        self.descriptors()
            .iter()
            .filter(|link| link.contains("socket:"))
            .count()
    }

    /// Whether no signal waits to be delivered to it.
    #[must_use]
    pub fn has_heard_all(self) -> bool {
        ["SigPnd:", "ShdPnd:"]
            .iter()
            .all(|name| self.line(name).trim_start_matches('0').is_empty())
    }

    /// Waits until no signal waits to be delivered to it.
    pub fn expect_no_pending_signal(self) {
        until(
            || self.has_heard_all(),
            || "a signal is not delivered".to_owned(),
        );
    }

    fn status(self, name: &str) -> u64 {
        self.line(name).parse().expect("a number")
    }

    fn line(self, name: &str) -> String {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the process is there");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect("the kernel says so");
        line.split_whitespace().next().expect("a value").to_owned()
    }

    fn stat(self) -> Option<Stat> {
        Stat::parse(&fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?)
    }
}

struct Stat {
    state: char,
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name may hold anything, so fields are counted from behind it: proc(5).
        let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Stat {
            state: fields.first()?.chars().next()?,
            parent: u32::try_from(number(1)?).ok()?,
            ticks: number(11)? + number(12)?,
        })
    }
}

fn last_number(line: &str) -> u64 {
    line.split_whitespace()
        .last()
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

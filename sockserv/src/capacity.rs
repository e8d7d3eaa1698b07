//! What a server needs of its machine, against what the machine gives: arithmetic before it hurts.
//!
//! `--check` of [`cli`](crate::cli) prints it, and a server that starts by `from_args` warns of what is short.
//!
//! ```
//! use sockserv::capacity::{Machine, Need};
//!
//! let need = Need {
//!     connections: 20_000,
//!     backlog: 4096,
//!     ..Need::default()
//! };
//! let machine = Machine {
//!     descriptors: Some(1024),
//!     somaxconn: Some(4096),
//!     ..Machine::default()
//! };
//! let short: Vec<_> = need.of(&machine).into_iter().filter(|item| item.is_short()).collect();
//! assert_eq!(short.len(), 1);
//! assert_eq!(
//!     short[0].to_string(),
//!     "descriptors: 20032 needed, 1024 there; `ulimit -n 20032`, or `LimitNOFILE=20032` in the unit, or a smaller `max_connections`"
//! );
//! ```

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

use crate::drain::{CUT_NOTICE, LAST_WORDS};

/// How many descriptors are everything else: standard streams, poller, timer, listeners, what the application opens.
pub(crate) const OTHER_DESCRIPTORS: u64 = 32;

/// What a thread or a child touches at least: its first stack pages, its control block, the kernel's side of both.
const TOUCHED: u64 = 64 << 10;

/// How many mappings a program has before its first thread, roughly; each thread adds its stack and a guard page.
const OTHER_MAPPINGS: u64 = 200;

/// By how much whoever stops a server is more patient than the server itself.
const SPARE: Duration = Duration::from_millis(500);

/// What a server may come to need, at most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Requests that are alive at once.
    pub connections: u64,
    /// Threads beside the accepting one.
    pub threads: u64,
    /// Child processes.
    pub processes: u64,
    /// The stack of each thread in bytes.
    pub stack: u64,
    /// The buffers of one request in bytes.
    pub buffers: u64,
    /// How many connections the kernel is asked to queue; zero without a stream listener.
    pub backlog: u64,
}

/// What a process may have; `None` is no limit, or one that is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Descriptors of one process: RLIMIT_NOFILE.
    pub descriptors: Option<u64>,
    /// Threads and processes: the least of RLIMIT_NPROC, `kernel.threads-max` and the control group's `pids.max`.
    pub tasks: Option<u64>,
    /// Memory mappings of one process: `vm.max_map_count`.
    pub mappings: Option<u64>,
    /// Addresses of one process in bytes: RLIMIT_AS.
    pub addresses: Option<u64>,
    /// Memory in bytes: the machine's, or the control group's `memory.max` if that is less.
    pub memory: Option<u64>,
    /// How many connections the kernel queues at most: `net.core.somaxconn`.
    pub somaxconn: Option<u64>,
}

/// One thing of which there must be enough.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    what: &'static str,
    need: u64,
    has: Option<u64>,
    is_bytes: bool,
    advice: String,
}

/// How many seconds must be given to a server between the signal that ends it and the kill: the two options, what follows
/// for those who do not hear, and a little more.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use sockserv::capacity::stop_seconds;
///
/// let (lame_duck, shutdown_grace) = (Duration::from_secs(6), Duration::from_secs(8));
/// assert_eq!(stop_seconds(lame_duck, shutdown_grace), 16);
/// ```
#[must_use]
pub fn stop_seconds(lame_duck: Duration, shutdown_grace: Duration) -> u64 {
    let end = [shutdown_grace, LAST_WORDS, CUT_NOTICE, SPARE]
        .into_iter()
        .fold(lame_duck, Duration::saturating_add);
    end.as_secs()
        .saturating_add(u64::from(end.subsec_nanos() > 0))
}

impl Need {
    /// Returns what it takes, thing by thing, beside what there is.
    #[must_use]
    pub fn of(&self, machine: &Machine) -> Vec<Item> {
        vec![
            self.descriptors(machine.descriptors),
            self.tasks(machine.tasks),
            self.mappings(machine.mappings),
            self.stacks(machine.addresses),
            self.memory(machine.memory),
            self.queue(machine.somaxconn),
        ]
    }

    fn descriptors(&self, has: Option<u64>) -> Item {
        let need = self.connections.saturating_add(OTHER_DESCRIPTORS);
        let advice = format!(
            "`ulimit -n {need}`, or `LimitNOFILE={need}` in the unit, or a smaller `max_connections`"
        );
        Item::count("descriptors", need, has, advice)
    }

    fn tasks(&self, has: Option<u64>) -> Item {
        let need = self.all_tasks();
        let fewer = if self.processes > 0 {
            "processes"
        } else {
            "threads"
        };
        let advice = format!("`TasksMax={need}` in the unit, `ulimit -u {need}`, or fewer {fewer}");
        Item::count("threads and processes", need, has, advice)
    }

    fn all_tasks(&self) -> u64 {
        let beside = self.threads.saturating_add(self.processes);
        beside.saturating_add(1)
    }

    fn mappings(&self, has: Option<u64>) -> Item {
        let own = self.threads.saturating_mul(2);
        let need = own.saturating_add(OTHER_MAPPINGS);
        let advice = format!("`sysctl vm.max_map_count={need}`, or fewer threads");
        Item::count("memory mappings", need, has, advice)
    }

    fn stacks(&self, has: Option<u64>) -> Item {
        let need = self.threads.saturating_mul(self.stack);
        let advice = "`ulimit -v unlimited`, a smaller `stack_size`, or fewer threads";
        Item::bytes("addresses for stacks", need, has, advice)
    }

    fn memory(&self, has: Option<u64>) -> Item {
        let buffers = self.connections.saturating_mul(self.buffers);
        let need = self
            .all_tasks()
            .saturating_mul(TOUCHED)
            .saturating_add(buffers);
        let advice = "a smaller `max_connections`, or smaller buffers";
        Item::bytes("memory, if all are busy", need, has, advice)
    }

    fn queue(&self, has: Option<u64>) -> Item {
        let need = self.backlog;
        let advice = format!(
            "`sysctl net.core.somaxconn={need}`; until then a burst beyond that waits longer"
        );
        Item::count("connections in the kernel's queue", need, has, advice)
    }
}

impl Item {
    fn count(what: &'static str, need: u64, has: Option<u64>, advice: String) -> Self {
        Self {
            what,
            need,
            has,
            is_bytes: false,
            advice,
        }
    }

    fn bytes(what: &'static str, need: u64, has: Option<u64>, advice: &str) -> Self {
        Self {
            is_bytes: true,
            ..Self::count(what, need, has, advice.to_owned())
        }
    }

    /// Returns what it is.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Returns how much is needed.
    #[must_use]
    pub fn need(&self) -> u64 {
        self.need
    }

    /// Returns how much there is, if that is limited and known.
    #[must_use]
    pub fn has(&self) -> Option<u64> {
        self.has
    }

    /// Returns whether there is too little.
    #[must_use]
    pub fn is_short(&self) -> bool {
        self.has.is_some_and(|has| has < self.need)
    }

    fn amount(&self, amount: u64) -> String {
        match self.is_bytes {
            true => format!("{} MiB", amount.div_ceil(1 << 20)),
            false => amount.to_string(),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has = self
            .has
            .map_or("no limit".to_owned(), |has| self.amount(has));
        write!(
            f,
            "{}: {} needed, {has} there",
            self.what,
            self.amount(self.need)
        )?;
        match self.is_short() {
            true => write!(f, "; {}", self.advice),
            false => Ok(()),
        }
    }
}

impl Machine {
    /// Asks the kernel what this process may have.
    #[must_use]
    pub fn here() -> Self {
        let limit = |resource| getrlimit(resource).current;
        let sysctl = |name| number(Path::new("/proc/sys").join(name));
        let tasks = [
            limit(Resource::Nproc),
            sysctl("kernel/threads-max"),
            least_of_groups("pids.max"),
        ];
        let memory = [memory_of_machine(), least_of_groups("memory.max")];
        Self {
            descriptors: limit(Resource::Nofile),
            tasks: tasks.into_iter().flatten().min(),
            mappings: sysctl("vm/max_map_count"),
            addresses: limit(Resource::As),
            memory: memory.into_iter().flatten().min(),
            somaxconn: sysctl("net/core/somaxconn"),
        }
    }
}

/// A file that holds one number; `max`, as control groups say, is none.
fn number(path: PathBuf) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// `MemTotal:       16328412 kB`
fn memory_of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = total.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes << 10)
}

/// The least that a control group of this process, or one around it, allows: cgroups(7), version 2.
fn least_of_groups(name: &str) -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let own = Path::new(own);
    let around = own.ancestors();
    around
        .filter_map(|group| number(Path::new("/sys/fs/cgroup").join(group).join(name)))
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(need: &Need, machine: &Machine) -> Vec<&'static str> {
        let items = need.of(machine).into_iter();
        items
            .filter(Item::is_short)
            .map(|item| item.what())
            .collect()
    }

    #[test]
    fn what_is_not_limited_is_never_short() {
        let need = Need {
            connections: u64::MAX,
            threads: u64::MAX,
            processes: u64::MAX,
            stack: u64::MAX,
            buffers: u64::MAX,
            backlog: u64::MAX,
        };
        assert!(short(&need, &Machine::default()).is_empty());
    }

    #[test]
    fn a_grace_may_be_as_long_as_one_likes() {
        assert_eq!(stop_seconds(Duration::MAX, Duration::MAX), u64::MAX);
    }

    #[test]
    fn each_thing_is_counted() {
        let need = Need {
            connections: 1000,
            threads: 1000,
            stack: 2 << 20,
            buffers: 16 << 10,
            backlog: 4096,
            ..Need::default()
        };
        let enough = Machine {
            descriptors: Some(1032),
            tasks: Some(1001),
            mappings: Some(2200),
            addresses: Some(2000 << 20),
            memory: Some(1001 * (64 << 10) + 1000 * (16 << 10)),
            somaxconn: Some(4096),
        };
        assert!(short(&need, &enough).is_empty());
        let less = |limit: Option<u64>| limit.map(|limit| limit - 1);
        let too_little = Machine {
            descriptors: less(enough.descriptors),
            tasks: less(enough.tasks),
            mappings: less(enough.mappings),
            addresses: less(enough.addresses),
            memory: less(enough.memory),
            somaxconn: less(enough.somaxconn),
        };
        assert_eq!(short(&need, &too_little).len(), 6);
    }

    #[test]
    fn this_machine_is_known() {
        let machine = Machine::here();
        assert!(
            machine.memory.is_some_and(|memory| memory > 1 << 20),
            "{machine:?}"
        );
        assert!(
            machine.somaxconn.is_some() && machine.tasks.is_some(),
            "{machine:?}"
        );
    }
}

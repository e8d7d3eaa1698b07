//! Who has an account here, from /etc/passwd (RFC 1288).
//! Run:  `cargo run --example finger` as root, or `cargo run --example finger -- 127.0.0.1:7979`
//! Talk: `finger root@127.0.0.1`, `finger -l @127.0.0.1`, or `echo /W root | nc 127.0.0.1 7979`
//! See:  the login and the name of root; with `-l` or `/W` the home directory and the shell, too

use std::fs;

use sockserv::prelude::*;

#[derive(Clone)]
struct Finger;

#[server(tcp, threading, addr = "127.0.0.1:79", timeout = "10s", max_line = 512)]
impl Finger {
    fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
        let mut line = String::new();
        stream.rfile.read_line(&mut line)?;
        let passwd = fs::read_to_string("/etc/passwd")?;
        let users: Vec<User> = passwd.lines().filter_map(User::parse).collect();
        match Query::parse(&line) {
            Query::Forward => write!(stream.wfile, "Finger forwarding service denied\r\n")?,
            Query::Everybody(detail) => {
                for user in users.iter().filter(|user| user.is_person()) {
                    user.write(&mut stream.wfile, detail)?;
                }
            }
            Query::One(name, detail) => {
                if !users.iter().any(|user| user.answers_to(name)) {
                    write!(stream.wfile, "{}: no such user\r\n", name.escape_debug())?;
                }
                for user in users.iter().filter(|user| user.answers_to(name)) {
                    user.write(&mut stream.wfile, detail)?;
                }
            }
        }
        Ok(())
    }
}

/// What the request's one line asks for.
enum Query<'a> {
    Everybody(Detail),
    One(&'a str, Detail),
    Forward,
}

#[derive(Clone, Copy)]
enum Detail {
    Short,
    Whole,
}

impl<'a> Query<'a> {
    /// `[/W] [user] [@host...]`; with a host, the client wants us to ask another server, which we never do.
    fn parse(line: &'a str) -> Self {
        let line = line.trim();
        let (detail, name) = match line.strip_prefix("/W").or(line.strip_prefix("/w")) {
            Some(rest) => (Detail::Whole, rest.trim_start()),
            None => (Detail::Short, line),
        };
        match name {
            "" => Query::Everybody(detail),
            name if name.contains('@') => Query::Forward,
            name => Query::One(name, detail),
        }
    }
}

/// One line of /etc/passwd.
struct User<'a> {
    login: &'a str,
    id: u32,
    name: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl<'a> User<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        Some(User {
            login: fields.next()?,
            id: fields.nth(1)?.parse().ok()?,
            name: fields.nth(1)?.split(',').next()?,
            home: fields.next()?,
            shell: fields.next()?,
        })
    }

    /// Daemons' accounts can be asked for by name, but are not listed.
    fn is_person(&self) -> bool {
        self.id == 0 || (1000..60_000).contains(&self.id)
    }

    /// To the login, and to any word of the real name, whatever its case.
    fn answers_to(&self, name: &str) -> bool {
        self.login == name
            || self
                .name
                .split(' ')
                .any(|word| word.eq_ignore_ascii_case(name))
    }

    fn write(&self, out: &mut impl Write, detail: Detail) -> io::Result<()> {
        let User {
            login,
            name,
            home,
            shell,
            ..
        } = self;
        match detail {
            Detail::Short => write!(out, "{login:<16} {name}\r\n"),
            Detail::Whole => {
                write!(out, "Login: {login:<32} Name: {name}\r\n")?;
                write!(out, "Directory: {home:<28} Shell: {shell}\r\n\r\n")
            }
        }
    }
}

fn main() -> io::Result<()> {
    FingerServer::builder(Finger)
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}

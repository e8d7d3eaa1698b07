//! The files of a crate, from their templates.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value, context};

use super::Blueprint;
use super::choice::{Kind, Protocol};
use super::interface::InterfaceFile;
use super::script;
use crate::Result;

const TEMPLATES: [(&str, &str); 11] = [
    (
        "Cargo.toml.j2",
        include_str!("../../templates/Cargo.toml.j2"),
    ),
    ("README.md.j2", include_str!("../../templates/README.md.j2")),
    ("main.rs.j2", include_str!("../../templates/main.rs.j2")),
    ("raw", include_str!("../../templates/main/raw.rs.j2")),
    ("lines", include_str!("../../templates/main/lines.rs.j2")),
    (
        "commands",
        include_str!("../../templates/main/commands.rs.j2"),
    ),
    (
        "length-prefixed",
        include_str!("../../templates/main/length_prefixed.rs.j2"),
    ),
    ("http", include_str!("../../templates/main/http.rs.j2")),
    ("rpc", include_str!("../../templates/main/rpc.rs.j2")),
    ("tests.rs.j2", include_str!("../../templates/tests.rs.j2")),
    (
        "server.rs.j2",
        include_str!("../../templates/tests/server.rs.j2"),
    ),
];

/// Returns the path and the text of each.
pub(super) fn files(blueprint: &Blueprint) -> Result<Vec<(PathBuf, String)>> {
    let environment = environment()?;
    let interface = match &blueprint.protocol {
        Protocol::Rpc(path) => Some(InterfaceFile::read(path)?),
        _ => None,
    };
    let context = facts(blueprint, interface.as_ref());
    let render = |template: &str| -> Result<String> {
        Ok(environment.get_template(template)?.render(&context)?)
    };
    let mut files: Vec<(PathBuf, String)> = vec![
        (".gitignore".into(), "/target\n".to_owned()),
        ("Cargo.toml".into(), render("Cargo.toml.j2")?),
        ("README.md".into(), render("README.md.j2")?),
        ("src/main.rs".into(), render(blueprint.protocol.name())?),
        ("src/tests.rs".into(), render("tests.rs.j2")?),
        ("tests/server.rs".into(), render("server.rs.j2")?),
    ];
    if blueprint.protocol == Protocol::Http {
        files.push((
            "src/http.rs".into(),
            include_str!("../../templates/http.rs").to_owned(),
        ));
    }
    if let Some(file) = interface {
        files.push((file.name.into(), file.text));
    }
    for (path, text) in &mut files {
        if path.extension().is_some_and(|extension| extension == "rs") {
            *text = formatted(text);
        }
    }
    Ok(files)
}

fn environment() -> Result<Environment<'static>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()?;
    environment.set_syntax(syntax);
    for (name, source) in TEMPLATES {
        environment.add_template(name, source)?;
    }
    Ok(environment)
}

fn facts(blueprint: &Blueprint, interface: Option<&InterfaceFile>) -> Value {
    let Blueprint {
        transport,
        model,
        protocol,
        ..
    } = blueprint;
    let name = blueprint.name.as_str();
    let addr = addr(blueprint);
    let talks = talks(blueprint, &addr, interface);
    let scripts = script::scripts(blueprint, interface);
    let words = transport.words().iter().copied().chain([model.word()]);
    let endpoints = transport.words().iter().map(|word| announced(word, &addr));
    context! {
        name,
        handler => blueprint.name.handler(),
        value => match protocol {
            Protocol::Http => "handler()".to_owned(),
            _ => blueprint.name.handler(),
        },
        summary => summary(blueprint),
        protocol => protocol.name(),
        interface => interface.map(shown),
        kind => transport.kind().name(),
        is_unix => transport.is_unix(),
        words => words.collect::<Vec<_>>().join(", "),
        model => model.word(),
        model_says => model.says(),
        unit => model.unit(),
        kinds => endpoints.len(),
        endpoints => endpoints.collect::<Vec<_>>(),
        addr,
        elsewhere => elsewhere(blueprint),
        talk => talks[0].as_str(),
        talks,
        tests => scripts.iter().map(script::Script::value).collect::<Vec<_>>(),
        dependencies => dependencies(blueprint),
        has_flags => blueprint.operation.has_flags(),
        prints => prints(blueprint),
    }
}

fn addr(blueprint: &Blueprint) -> String {
    match (&blueprint.protocol, blueprint.transport.is_unix()) {
        (_, true) => format!("unix:/tmp/{}.sock", blueprint.name.as_str()),
        (Protocol::Http, false) => "127.0.0.1:8080".to_owned(),
        (_, false) => "127.0.0.1:7007".to_owned(),
    }
}

/// Another address, for a shell.
fn elsewhere(blueprint: &Blueprint) -> String {
    match blueprint.transport.is_unix() {
        true => format!("unix:/tmp/{}-2.sock", blueprint.name.as_str()),
        false => "'[::1]:7008'".to_owned(),
    }
}

/// What is said at the start about an address.
fn announced(transport: &str, addr: &str) -> String {
    match addr.strip_prefix("unix:") {
        Some(path) => format!("{}:{path}", transport.replace('_', "-")),
        None => format!("{transport}://{addr}"),
    }
}

fn summary(blueprint: &Blueprint) -> &'static str {
    match (&blueprint.protocol, blueprint.transport.kind()) {
        (Protocol::Raw, Kind::Datagram) => "Sends back each packet.",
        (Protocol::Raw, _) => "Sends back what it receives.",
        (Protocol::Lines, _) => "Answers each line with the same line in capitals.",
        (Protocol::Commands, Kind::Datagram) => {
            "Obeys commands, one in a packet: `ADD 20 22`, `ECHO text`, `HELP`."
        }
        (Protocol::Commands, _) => {
            "Obeys commands of one line: `ADD 20 22`, `ECHO text`, `HELP`, `QUIT`."
        }
        (Protocol::LengthPrefixed, _) => "Answers each message with its bytes in reverse.",
        (Protocol::Http, _) => "Answers requests of HTTP/1.1.",
        (Protocol::Rpc(_), _) => "Answers calls of Sun RPC.",
    }
}

/// Commands that talk to the server, the simplest one first.
fn talks(blueprint: &Blueprint, addr: &str, interface: Option<&InterfaceFile>) -> Vec<String> {
    let (host, path) = ("127.0.0.1 7007", addr.trim_start_matches("unix:"));
    let to = |flags: &str, words: &str| match blueprint.transport.is_unix() {
        true => format!("nc -{flags}U {path}"),
        false if flags.is_empty() => format!("nc {words}"),
        false => format!("nc -{flags} {words}"),
    };
    if let Some(file) = interface {
        return rpc_talks(blueprint, file);
    }
    match (&blueprint.protocol, blueprint.transport.kind()) {
        (Protocol::Http, _) if blueprint.transport.is_unix() => {
            vec![format!("curl -i --unix-socket {path} http://localhost/")]
        }
        (Protocol::Http, _) => vec![format!("curl -i http://{addr}/")],
        (Protocol::LengthPrefixed, Kind::Stream | Kind::Either) => {
            vec![format!("printf '\\0\\5hello' | {} | od -c", to("N", host))]
        }
        (_, Kind::Stream) => vec![to("", host)],
        (_, Kind::Datagram) => vec![to("u", host)],
        (_, Kind::Either) => vec![to("", host), to("u", host)],
    }
}

/// `rpcinfo` calls procedure 0; its addresses end with the two bytes of the port.
fn rpc_talks(blueprint: &Blueprint, file: &InterfaceFile) -> Vec<String> {
    if blueprint.transport.is_unix() {
        return vec![format!("rpcgen {}    # A client in C.", file.name)];
    }
    let (program, version) = file.means.programs[0];
    let transports = blueprint.transport.words().iter();
    let talk = |word| format!("rpcinfo -a 127.0.0.1.27.95 -T {word} {program} {version}");
    transports.map(talk).collect()
}

/// As its template wants it.
fn shown(file: &InterfaceFile) -> Value {
    let procedures = file.means.procedures.iter();
    let procedures =
        procedures.map(|one| context! { name => one.name.as_str(), method => one.method.as_str() });
    context! { file => file.name.as_str(), procedures => procedures.collect::<Vec<_>>() }
}

/// Commands that write what those need who run the server; made anew, it cannot go stale.
fn prints(blueprint: &Blueprint) -> Vec<String> {
    let (name, operation) = (blueprint.name.as_str(), blueprint.operation);
    let wishes = [
        (operation.systemd, "unit", format!("{name}.units")),
        (operation.docker, "dockerfile", "Dockerfile".to_owned()),
        (operation.kubernetes, "kubernetes", format!("{name}.yaml")),
    ];
    let asked = wishes.into_iter().filter(|(is_asked, ..)| *is_asked);
    asked
        .map(|(_, wish, file)| format!("cargo run --release -- --print-{wish} > {file}"))
        .collect()
}

fn dependencies(blueprint: &Blueprint) -> Vec<String> {
    let mut features = Vec::new();
    if blueprint.operation.has_flags() {
        features.extend(["admin", "cli"]);
    }
    if matches!(blueprint.protocol, Protocol::Rpc(_)) {
        features.push("rpc");
    }
    let version = format!("{:?}", env!("CARGO_PKG_VERSION"));
    let source = match &blueprint.local {
        Some(folder) => format!("path = {:?}", folder.display().to_string()),
        None => format!("version = {version}"),
    };
    let runtime = match (features.is_empty(), &blueprint.local) {
        (false, _) => format!("{{ {source}, features = {features:?} }}"),
        (true, Some(_)) => format!("{{ {source} }}"),
        (true, None) => version,
    };
    let mut dependencies = vec![format!("sockserv = {runtime}")];
    if blueprint.protocol == Protocol::Http {
        dependencies.insert(0, "httparse = \"1.10\"".to_owned());
        dependencies.insert(1, "httpdate = \"1.0\"".to_owned());
    }
    dependencies
}

/// As rustfmt likes it, where there is one: names differ in length, and lines with them.
fn formatted(text: &str) -> String {
    try_format(text).unwrap_or_else(|| text.to_owned())
}

fn try_format(text: &str) -> Option<String> {
    let mut rustfmt = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    rustfmt.stdin.take()?.write_all(text.as_bytes()).ok()?;
    let output = rustfmt.wait_with_output().ok()?;
    let formatted = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !formatted.is_empty()).then_some(formatted)
}

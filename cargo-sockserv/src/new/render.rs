//! The files of a crate, from their templates.

use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, context};

use super::Blueprint;
use crate::Result;

const TEMPLATES: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("../../templates/Cargo.toml.j2")),
    ("src/main.rs", include_str!("../../templates/src/raw.rs.j2")),
    (
        "tests/server.rs",
        include_str!("../../templates/tests/server.rs.j2"),
    ),
];

pub(crate) fn files(blueprint: &Blueprint) -> Result<Vec<(PathBuf, String)>> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()?,
    );
    let context = context! {
        name => blueprint.name.as_str(),
        handler => blueprint.name.handler(),
        transport => "tcp",
        model => "threading",
        addr => "127.0.0.1:7007",
        test_addr => "127.0.0.1:0",
        talk => "nc 127.0.0.1 7007",
        dependencies => vec![dependency(blueprint)],
    };
    let mut files = vec![(
        PathBuf::from(".gitignore"),
        include_str!("../../templates/gitignore").to_owned(),
    )];
    for (path, template) in TEMPLATES {
        files.push((path.into(), environment.render_str(template, &context)?));
    }
    Ok(files)
}

fn dependency(blueprint: &Blueprint) -> String {
    match &blueprint.local {
        Some(folder) => format!("sockserv = {{ path = {:?} }}", folder.display().to_string()),
        None => format!("sockserv = {:?}", env!("CARGO_PKG_VERSION")),
    }
}

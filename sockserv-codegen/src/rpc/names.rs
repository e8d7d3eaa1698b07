//! The file's names in Rust.

/// Words of Rust that `r#` makes names of.
const KEYWORDS: [&str; 47] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "do", "dyn",
    "else", "enum", "extern", "false", "final", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref", "return",
    "static", "struct", "trait", "true", "try", "type", "typeof", "unsafe", "unsized", "use",
    "virtual", "where", "while",
];

/// Words that nothing makes a name of.
const NO_NAMES: [&str; 5] = ["self", "super", "crate", "Self", "_"];

/// `calc_op`, `CALC_OP` and `CalcOp` are all `CalcOp`.
pub(crate) fn camel(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    let camel: String = words.map(capitalized).collect();
    let begins_well = camel.starts_with(|c: char| c.is_ascii_alphabetic());
    plain(if begins_well {
        camel
    } else {
        format!("_{camel}")
    })
}

fn capitalized(word: &str) -> String {
    let shouts = !word.contains(|c: char| c.is_ascii_lowercase());
    let (first, rest) = word.split_at(1);
    let rest = if shouts {
        rest.to_ascii_lowercase()
    } else {
        rest.to_owned()
    };
    first.to_ascii_uppercase() + &rest
}

/// `GET_ATTR`, `GetAttr` and `get_attr` are all `get_attr`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::new();
    let shouts = !name.contains(|c: char| c.is_ascii_lowercase());
    let mut last = '_';
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && (last.is_ascii_lowercase() || last.is_ascii_digit());
        if !shouts && begins {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        last = c;
    }
    plain(snake)
}

/// A constant keeps its name.
pub(crate) fn constant(name: &str) -> String {
    plain(name.to_owned())
}

/// What cannot be a name gets a `_`; keywords get their `r#` where they are written.
fn plain(name: String) -> String {
    if NO_NAMES.contains(&&*name) {
        name + "_"
    } else {
        name
    }
}

/// Tells whether it needs `r#`.
pub(crate) fn is_keyword(name: &str) -> bool {
    KEYWORDS.contains(&name)
}

/// Returns the enumerators in Rust: without the name of their enum, if all begin with it.
pub(crate) fn variants<'a>(of: &str, names: impl Iterator<Item = &'a str> + Clone) -> Vec<String> {
    let prefix = snake(of).to_ascii_uppercase() + "_";
    let without = |name: &'a str| {
        let (begin, rest) = name.split_at_checked(prefix.len())?;
        let fits = begin.eq_ignore_ascii_case(&prefix)
            && rest.starts_with(|c: char| c.is_ascii_alphabetic());
        fits.then_some(rest)
    };
    let short: Option<Vec<_>> = names.clone().map(without).collect();
    match short {
        Some(short) => short.into_iter().map(camel).collect(),
        None => names.map(camel).collect(),
    }
}

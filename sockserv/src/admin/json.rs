//! Enough of JSON to say what there is: objects, lists, numbers and text.

use std::fmt::{self, Display, Write};

/// An object that is being written.
#[derive(Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// Adds what is JSON as it stands: a number, a list, another object.
    pub(super) fn with(mut self, name: impl Display, value: impl Display) -> Self {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        let _ = write!(self.0, "{}:{value}", Text(name)); // A `String` takes everything.
        self
    }

    /// Adds text.
    pub(super) fn with_text(self, name: impl Display, value: impl Display) -> Self {
        self.with(name, Text(value))
    }
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}}}", self.0)
    }
}

/// Text in quotes.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for char in self.0.to_string().chars() {
            match char {
                '"' | '\\' => write!(f, "\\{char}")?,
                '\0'..=' ' | '\u{7f}'.. if char != ' ' => write_escaped(f, char)?,
                _ => f.write_char(char)?,
            }
        }
        f.write_char('"')
    }
}

fn write_escaped(f: &mut fmt::Formatter<'_>, char: char) -> fmt::Result {
    let mut units = [0; 2];
    char.encode_utf16(&mut units)
        .iter()
        .try_for_each(|unit| write!(f, "\\u{unit:04x}"))
}

/// A list of what is JSON as it stands.
pub(super) fn list(items: impl IntoIterator<Item = impl Display>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(name in ".*", text in proptest::prelude::any::<String>()) {
            let json = Object::new().with("one", list([1, 2])).with_text(&name, &text).to_string();
            let read: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            assert_eq!(read[&name], text.as_str());
        }
    }
}

//! Interface files in the RPC language: RFC 5531, section 12, and RFC 4506, section 6. Text in, an [`Interface`] or mistakes out.

pub(crate) mod interface;
mod lexer;
pub(crate) mod names;
mod parse;
mod resolve;
mod syntax;
#[cfg(test)]
mod tests;

pub(crate) use interface::Interface;

/// Something wrong in the file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// Counted from one.
    pub(crate) line: usize,
    /// In the grammar of all our messages.
    pub(crate) message: String,
}

impl Mistake {
    fn new(line: usize, message: impl Into<String>) -> Self {
        Self {
            line,
            message: message.into(),
        }
    }
}

/// Reads a file's text. Of mistakes in the grammar only the first is found, of those in the meaning all.
pub(crate) fn read(text: &str) -> Result<Interface, Vec<Mistake>> {
    let tokens = lexer::tokens(text).map_err(|mistake| vec![mistake])?;
    let definitions = parse::definitions(tokens).map_err(|mistake| vec![mistake])?;
    resolve::interface(&definitions)
}

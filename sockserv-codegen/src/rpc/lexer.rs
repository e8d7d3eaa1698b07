//! The file's words, each with its line.

use std::iter::Peekable;
use std::str::Chars;

use super::Mistake;

/// A word, a number or a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word(String),
    Number(i128),
    Mark(char),
    End,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Word(word) => write!(f, "`{word}`"),
            Self::Number(number) => write!(f, "`{number}`"),
            Self::Mark(mark) => write!(f, "`{mark}`"),
            Self::End => f.write_str("the end of the file"),
        }
    }
}

/// Splits the text; the last token is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Mistake> {
    let mut lexer = Lexer {
        chars: text.chars().peekable(),
        line: 1,
        at_line_start: true,
    };
    let mut tokens = Vec::new();
    loop {
        let token = lexer.token()?;
        let is_last = token.kind == Kind::End;
        tokens.push(token);
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: usize,
    at_line_start: bool,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.chars.next()?;
        if next == '\n' {
            self.line += 1;
        }
        self.at_line_start = next == '\n' || (self.at_line_start && next.is_whitespace());
        Some(next)
    }

    fn token(&mut self) -> Result<Token, Mistake> {
        loop {
            let (line, at_line_start) = (self.line, self.at_line_start);
            let kind = match self.chars.peek().copied() {
                None => Kind::End,
                Some('%') if at_line_start => {
                    self.skip_line(); // What `rpcgen` passes on to C.
                    continue;
                }
                Some(c) if c.is_whitespace() => {
                    self.next();
                    continue;
                }
                Some('/') => {
                    self.skip_comment()?;
                    continue;
                }
                Some('#') => {
                    return Err(Mistake::new(
                        line,
                        "no C preprocessor reads this file; leave out the line with `#`, or write `const`",
                    ));
                }
                Some(c) if c.is_ascii_alphabetic() || c == '_' => Kind::Word(self.word()),
                Some(c) if c.is_ascii_digit() || c == '-' => self.number()?,
                Some(c) => {
                    self.next();
                    Kind::Mark(c)
                }
            };
            return Ok(Token { line, kind });
        }
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|c| c != '\n') {}
    }

    fn skip_comment(&mut self) -> Result<(), Mistake> {
        let line = self.line;
        self.next();
        match self.chars.peek() {
            Some('/') => {
                self.skip_line();
                Ok(())
            }
            Some('*') => {
                self.next();
                let mut last = ' ';
                while let Some(c) = self.next() {
                    if (last, c) == ('*', '/') {
                        return Ok(());
                    }
                    last = c;
                }
                Err(Mistake::new(
                    line,
                    "the comment does not end; write `*/` behind it",
                ))
            }
            _ => Err(Mistake::new(
                line,
                "`/` begins no word; write `/* ... */` around a comment",
            )),
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.chars.peek().copied() {
            if !c.is_ascii_alphanumeric() && c != '_' {
                break;
            }
            word.push(c);
            self.next();
        }
        word
    }

    /// Decimal, `0x` hexadecimal, or octal with a leading zero.
    fn number(&mut self) -> Result<Kind, Mistake> {
        let line = self.line;
        let is_negative = self.chars.peek() == Some(&'-');
        if is_negative {
            self.next();
        }
        let digits = self.word();
        let lower = digits.to_ascii_lowercase();
        let number = if let Some(hexadecimal) = lower.strip_prefix("0x") {
            i128::from_str_radix(hexadecimal, 16)
        } else if lower.len() > 1 && lower.starts_with('0') {
            i128::from_str_radix(&lower, 8)
        } else {
            lower.parse()
        };
        let Ok(number) = number else {
            let sign = if is_negative { "-" } else { "" };
            return Err(Mistake::new(
                line,
                format!("`{sign}{digits}` is no number; write it as 10, 0xa or 012"),
            ));
        };
        Ok(Kind::Number(if is_negative { -number } else { number }))
    }
}

//! The grammar: tokens in, definitions out. The first mistake ends it.

use super::Mistake;
use super::interface::Plain;
use super::lexer::{Kind, Token};
use super::syntax::{
    Arm, Body, Declaration, Definition, Enumerator, Procedure, Program, Shape, Specifier, Union,
    Value, Version,
};

type Parsed<T> = Result<T, Mistake>;

/// Words that begin a definition or a type, and so are no names.
const KEYWORDS: [&str; 22] = [
    "bool",
    "case",
    "char",
    "const",
    "default",
    "double",
    "enum",
    "float",
    "hyper",
    "int",
    "long",
    "opaque",
    "program",
    "quadruple",
    "short",
    "string",
    "struct",
    "switch",
    "typedef",
    "union",
    "unsigned",
    "void",
];

/// Reads all definitions of a file.
pub(super) fn definitions(tokens: Vec<Token>) -> Parsed<Vec<Definition>> {
    let mut parser = Parser { tokens, at: 0 };
    let mut definitions = Vec::new();
    while *parser.peek() != Kind::End {
        definitions.push(parser.definition()?);
    }
    Ok(definitions)
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn line(&self) -> usize {
        self.tokens[self.at].line
    }

    fn next(&mut self) -> Kind {
        let kind = self.peek().clone();
        // The last token is the end, which stays.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    fn found(&self, wanted: &str) -> Mistake {
        Mistake::new(
            self.line(),
            format!("{} does not fit here; write {wanted}", self.peek()),
        )
    }

    fn has(&mut self, mark: char) -> bool {
        let has = *self.peek() == Kind::Mark(mark);
        if has {
            self.next();
        }
        has
    }

    fn has_word(&mut self, word: &str) -> bool {
        let has = matches!(self.peek(), Kind::Word(next) if next == word);
        if has {
            self.next();
        }
        has
    }

    fn mark(&mut self, mark: char) -> Parsed<()> {
        if self.has(mark) {
            return Ok(());
        }
        // A forgotten `;` is seen a line too late.
        let line = self
            .at
            .checked_sub(1)
            .map_or(1, |last| self.tokens[last].line);
        Err(Mistake {
            line: if mark == ';' { line } else { self.line() },
            ..self.found(&format!("`{mark}` before it"))
        })
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if self.has_word(word) {
            Ok(())
        } else {
            Err(self.found(&format!("`{word}`")))
        }
    }

    fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Kind::Word(word) if KEYWORDS.contains(&&**word) => Err(Mistake::new(
                self.line(),
                format!("`{word}` is a word of the language; write another name"),
            )),
            Kind::Word(word) => {
                let word = word.clone();
                self.next();
                Ok(word)
            }
            _ => Err(self.found("a name")),
        }
    }

    fn value(&mut self) -> Parsed<Value> {
        if let Kind::Number(number) = *self.peek() {
            self.next();
            return Ok(Value::Number(number));
        }
        self.name().map(Value::Name)
    }

    fn definition(&mut self) -> Parsed<Definition> {
        let line = self.line();
        let Kind::Word(word) = self.peek().clone() else {
            return Err(self.found(DEFINITIONS));
        };
        let (name, body) = match &*word {
            "const" => self.constant()?,
            "typedef" => self.typedef()?,
            "enum" | "struct" | "union" => {
                self.next();
                let name = self.name()?;
                (name, self.body(&word)?)
            }
            "program" => self.program()?,
            _ => return Err(self.found(DEFINITIONS)),
        };
        self.mark(';')?;
        Ok(Definition { line, name, body })
    }

    fn constant(&mut self) -> Parsed<(String, Body)> {
        self.next();
        let name = self.name()?;
        self.mark('=')?;
        let Kind::Number(number) = *self.peek() else {
            return Err(self.found("a number"));
        };
        self.next();
        Ok((name, Body::Const(number)))
    }

    fn typedef(&mut self) -> Parsed<(String, Body)> {
        self.next();
        // `typedef struct { ... } name` is another way to write `struct name { ... }`.
        if let Kind::Word(word) = self.peek().clone()
            && ["enum", "struct", "union"].contains(&&*word)
            && !matches!(self.tokens[self.at + 1].kind, Kind::Word(ref next) if next != "switch")
        {
            self.next();
            let body = self.body(&word)?;
            return Ok((self.name()?, body));
        }
        let declaration = self.declaration()?;
        if declaration.specifier == Specifier::Void {
            return Err(Mistake::new(
                declaration.line,
                "`void` declares nothing; write a type with a name",
            ));
        }
        Ok((declaration.name.clone(), Body::Typedef(declaration)))
    }

    /// What follows `enum name`, `struct name` or `union name`.
    fn body(&mut self, word: &str) -> Parsed<Body> {
        match word {
            "enum" => self.enumeration(),
            "struct" => self.structure(),
            _ => self.union(),
        }
    }

    fn enumeration(&mut self) -> Parsed<Body> {
        self.mark('{')?;
        let mut enumerators = Vec::new();
        loop {
            let (line, name) = (self.line(), self.name()?);
            let value = if self.has('=') {
                Some(self.value()?)
            } else {
                None
            };
            enumerators.push(Enumerator { line, name, value });
            if !self.has(',') {
                break;
            }
        }
        self.mark('}')?;
        Ok(Body::Enum(enumerators))
    }

    fn structure(&mut self) -> Parsed<Body> {
        self.mark('{')?;
        let mut fields = Vec::new();
        loop {
            let field = self.declaration()?;
            if field.specifier == Specifier::Void {
                return Err(Mistake::new(field.line, "`void` is no field; leave it out"));
            }
            fields.push(field);
            self.mark(';')?;
            if self.has('}') {
                return Ok(Body::Struct(fields));
            }
        }
    }

    fn union(&mut self) -> Parsed<Body> {
        self.word("switch")?;
        self.mark('(')?;
        let switch = self.declaration()?;
        self.mark(')')?;
        self.mark('{')?;
        let (mut arms, mut default) = (Vec::new(), None);
        while self.has_word("case") {
            let mut labels = Vec::new();
            loop {
                labels.push((self.line(), self.value()?));
                self.mark(':')?;
                if !self.has_word("case") {
                    break;
                }
            }
            let declaration = self.declaration()?;
            self.mark(';')?;
            arms.push(Arm {
                labels,
                declaration,
            });
        }
        if arms.is_empty() {
            return Err(self.found("`case` and a value"));
        }
        if self.has_word("default") {
            self.mark(':')?;
            default = Some(self.declaration()?);
            self.mark(';')?;
        }
        self.mark('}')?;
        Ok(Body::Union(Union {
            switch,
            arms,
            default,
        }))
    }

    fn declaration(&mut self) -> Parsed<Declaration> {
        let line = self.line();
        let specifier = self.specifier()?;
        if specifier == Specifier::Void {
            return Ok(Declaration {
                line,
                name: String::new(),
                specifier,
                shape: Shape::Plain,
            });
        }
        let is_optional = self.has('*');
        let name = self.name()?;
        let shape = if is_optional {
            Shape::Optional
        } else if self.has('[') {
            let length = self.value()?;
            self.mark(']')?;
            Shape::Fixed(length)
        } else if self.has('<') {
            self.variable()?
        } else {
            Shape::Plain
        };
        Ok(Declaration {
            line,
            name,
            specifier,
            shape,
        })
    }

    /// What follows `<`.
    fn variable(&mut self) -> Parsed<Shape> {
        if self.has('>') {
            return Ok(Shape::Variable(None));
        }
        let max = self.value()?;
        self.mark('>')?;
        Ok(Shape::Variable(Some(max)))
    }

    fn specifier(&mut self) -> Parsed<Specifier> {
        let Kind::Word(word) = self.peek().clone() else {
            return Err(self.found("a type"));
        };
        if let "enum" | "struct" | "union" = &*word {
            // `struct node *next`, as in C; a body in here would have no name.
            self.next();
            return match self.peek() {
                Kind::Mark('{') => Err(self.found(&format!(
                    "`{word} name {{ ... }};` of its own before, and the name here"
                ))),
                _ => self.name().map(Specifier::Named),
            };
        }
        if word == "quadruple" {
            return Err(self.found("another type: Rust has no `quadruple`"));
        }
        let plain = plain(&word);
        let specifier = match &*word {
            "void" => Specifier::Void,
            "string" => Specifier::String,
            "opaque" => Specifier::Opaque,
            "unsigned" => {
                self.next();
                return Ok(Specifier::Plain(self.unsigned()));
            }
            _ => match plain {
                Some(plain) => Specifier::Plain(plain),
                None => return self.name().map(Specifier::Named),
            },
        };
        self.next();
        if let Specifier::Plain(Plain::Int | Plain::Short) = specifier
            && ["long", "short"].contains(&&*word)
        {
            self.has_word("int");
        }
        Ok(specifier)
    }

    /// What follows `unsigned`: alone it is an `unsigned int`.
    fn unsigned(&mut self) -> Plain {
        for (word, plain) in UNSIGNED {
            if self.has_word(word) {
                self.has_word("int");
                return plain;
            }
        }
        Plain::UnsignedInt
    }

    fn program(&mut self) -> Parsed<(String, Body)> {
        self.next();
        let name = self.name()?;
        self.mark('{')?;
        let mut versions = Vec::new();
        while !self.has('}') {
            versions.push(self.version()?);
        }
        self.mark('=')?;
        let number = self.value()?;
        Ok((name, Body::Program(Program { versions, number })))
    }

    fn version(&mut self) -> Parsed<Version> {
        let line = self.line();
        self.word("version")?;
        let name = self.name()?;
        self.mark('{')?;
        let mut procedures = Vec::new();
        while !self.has('}') {
            procedures.push(self.procedure()?);
        }
        self.mark('=')?;
        let number = self.value()?;
        self.mark(';')?;
        Ok(Version {
            line,
            name,
            procedures,
            number,
        })
    }

    fn procedure(&mut self) -> Parsed<Procedure> {
        let line = self.line();
        let result = self.unnamed()?;
        let name = self.name()?;
        self.mark('(')?;
        let mut arguments = vec![self.unnamed()?];
        while self.has(',') {
            arguments.push(self.unnamed()?);
        }
        self.mark(')')?;
        self.mark('=')?;
        let number = self.value()?;
        self.mark(';')?;
        Ok(Procedure {
            line,
            name,
            result,
            arguments,
            number,
        })
    }

    /// The type of an argument or a result. `string` means `string<>`, as in `rpcgen`.
    fn unnamed(&mut self) -> Parsed<Declaration> {
        let line = self.line();
        let specifier = self.specifier()?;
        let shape = match specifier {
            Specifier::String if self.has('<') => self.variable()?,
            Specifier::String => Shape::Variable(None),
            _ if self.has('*') => Shape::Optional,
            _ => Shape::Plain,
        };
        Ok(Declaration {
            line,
            name: String::new(),
            specifier,
            shape,
        })
    }
}

const DEFINITIONS: &str = "`const`, `typedef`, `enum`, `struct`, `union` or `program`";

const UNSIGNED: [(&str, Plain); 5] = [
    ("int", Plain::UnsignedInt),
    ("hyper", Plain::UnsignedHyper),
    ("long", Plain::UnsignedInt),
    ("short", Plain::UnsignedShort),
    ("char", Plain::UnsignedChar),
];

/// The types of RFC 4506, and those that `rpcgen` knows besides: on the wire a `long` has 32 bits.
fn plain(word: &str) -> Option<Plain> {
    Some(match word {
        "int" | "long" | "int32_t" => Plain::Int,
        "u_int" | "u_long" | "uint32_t" => Plain::UnsignedInt,
        "hyper" | "int64_t" | "quad_t" => Plain::Hyper,
        "u_hyper" | "uint64_t" | "u_quad_t" => Plain::UnsignedHyper,
        "short" | "int16_t" => Plain::Short,
        "u_short" | "uint16_t" => Plain::UnsignedShort,
        "char" | "int8_t" => Plain::Char,
        "u_char" | "uint8_t" => Plain::UnsignedChar,
        "float" => Plain::Float,
        "double" => Plain::Double,
        "bool" | "bool_t" => Plain::Bool,
        _ => return None,
    })
}

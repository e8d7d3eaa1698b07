//! The file as it is written, before anybody asks what its names mean.

/// One definition of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) body: Body,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Body {
    Const(i128),
    Typedef(Declaration),
    Enum(Vec<Enumerator>),
    Struct(Vec<Declaration>),
    Union(Union),
    Program(Program),
}

/// A name of an enum and its number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Enumerator {
    pub(super) line: usize,
    pub(super) name: String,
    /// Nothing is one more than the last (an extension of `rpcgen`).
    pub(super) value: Option<Value>,
}

/// A number, or the name of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Number(i128),
    Name(String),
}

/// What is declared of a name: `string text<10>`. `void` declares none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Declaration {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) specifier: Specifier,
    pub(super) shape: Shape,
}

/// The word or words in front of the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Specifier {
    Void,
    Plain(super::interface::Plain),
    String,
    Opaque,
    Named(String),
}

/// What stands around the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Plain,
    Optional,
    Fixed(Value),
    /// Without a number there is no maximum.
    Variable(Option<Value>),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Union {
    pub(super) switch: Declaration,
    pub(super) arms: Vec<Arm>,
    pub(super) default: Option<Declaration>,
}

/// One or more `case`s with what they have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Arm {
    pub(super) labels: Vec<(usize, Value)>,
    pub(super) declaration: Declaration,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) versions: Vec<Version>,
    pub(super) number: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) procedures: Vec<Procedure>,
    pub(super) number: Value,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Procedure {
    pub(super) line: usize,
    pub(super) name: String,
    pub(super) result: Declaration,
    pub(super) arguments: Vec<Declaration>,
    pub(super) number: Value,
}

//! What the file means: every name resolved, every number known.

/// Everything in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) constants: Vec<Constant>,
    pub(crate) types: Vec<Definition>,
    pub(crate) programs: Vec<Program>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Constant {
    /// As it is written in the file.
    pub(crate) name: String,
    pub(crate) value: i128,
}

/// A type with a name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// As it is written in the file.
    pub(crate) name: String,
    pub(crate) body: Body,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Alias(Type),
    Enum(Vec<(String, i32)>),
    Struct(Vec<(String, Type)>),
    Union(Union),
}

/// A value whose first word says what follows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Union {
    pub(crate) switch: Switch,
    pub(crate) variants: Vec<Variant>,
    /// What follows any other number; a switch over an enum has a variant for each instead.
    pub(crate) default: Option<Type>,
}

/// The type of a union's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    Int,
    UnsignedInt,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// As it is written in the file.
    pub(crate) name: String,
    pub(crate) value: i64,
    pub(crate) ty: Type,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Void,
    Plain(Plain),
    /// The maximum length.
    String(u32),
    Opaque(u32),
    OpaqueFixed(u32),
    Array(Box<Self>, u32),
    ArrayFixed(Box<Self>, u32),
    Optional {
        ty: Box<Self>,
        /// It may contain the type that it stands in.
        is_boxed: bool,
    },
    /// An enum, a struct or a union.
    Named(String),
    /// A typedef, and what it stands for.
    Alias(String, Box<Self>),
}

/// A type of one or two words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plain {
    Int,
    UnsignedInt,
    Hyper,
    UnsignedHyper,
    Short,
    UnsignedShort,
    Char,
    UnsignedChar,
    Float,
    Double,
    Bool,
}

impl Plain {
    /// Returns the type in Rust.
    pub(crate) fn rust(self) -> &'static str {
        match self {
            Self::Int => "i32",
            Self::UnsignedInt => "u32",
            Self::Hyper => "i64",
            Self::UnsignedHyper => "u64",
            Self::Short => "i16",
            Self::UnsignedShort => "u16",
            Self::Char => "i8",
            Self::UnsignedChar => "u8",
            Self::Float => "f32",
            Self::Double => "f64",
            Self::Bool => "bool",
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) number: u32,
    pub(crate) versions: Vec<Version>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Version {
    /// As it is written in the file.
    pub(crate) name: String,
    pub(crate) number: u32,
    /// Without the null procedure.
    pub(crate) procedures: Vec<Procedure>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Procedure {
    /// As it is written in the file.
    pub(crate) name: String,
    pub(crate) number: u32,
    /// The name of its method.
    pub(crate) method: String,
    pub(crate) arguments: Vec<Type>,
    pub(crate) result: Type,
}

//! What the names mean. All mistakes are found; what is broken is left out.

mod cycles;
mod programs;
mod unions;

use std::collections::BTreeMap;

use super::interface::{self, Constant, Interface, Plain, Type};
use super::syntax::{Body, Declaration, Definition, Enumerator, Shape, Specifier, Value};
use super::{Mistake, names};

/// An array by value stands on the stack.
const MAX_FIXED: u32 = 65_536;

/// Resolves a whole file.
pub(super) fn interface(definitions: &[Definition]) -> Result<Interface, Vec<Mistake>> {
    let mut resolver = Resolver::new(definitions);
    let mut interface = Interface::default();
    for definition in definitions {
        match &definition.body {
            Body::Const(value) => interface.constants.push(Constant {
                name: definition.name.clone(),
                value: *value,
            }),
            Body::Program(program) => interface
                .programs
                .push(resolver.program(definition, program)),
            _ => interface.types.extend(resolver.definition(definition)),
        }
    }
    resolver.check_methods(&mut interface);
    resolver.check_there_is_a_program(definitions);
    resolver.check_names(definitions);
    cycles::check(definitions, &interface, &mut resolver.mistakes);
    cycles::put_boxes(&mut interface);
    if resolver.mistakes.is_empty() {
        return Ok(interface);
    }
    resolver.mistakes.sort_by_key(|mistake| mistake.line);
    resolver.mistakes.dedup(); // What a typedef stands for was looked at wherever it stands.
    Err(resolver.mistakes)
}

/// Every name of the file, and what is wrong so far.
struct Resolver<'a> {
    numbers: BTreeMap<&'a str, i128>,
    types: BTreeMap<&'a str, &'a Definition>,
    /// The typedefs that are being followed.
    following: Vec<&'a str>,
    mistakes: Vec<Mistake>,
}

impl<'a> Resolver<'a> {
    fn new(definitions: &'a [Definition]) -> Self {
        let mut resolver = Self {
            numbers: [("FALSE", 0), ("TRUE", 1)].into(),
            types: BTreeMap::new(),
            following: Vec::new(),
            mistakes: Vec::new(),
        };
        for definition in definitions {
            resolver.enter(definition);
        }
        resolver
    }

    fn wrong(&mut self, line: usize, message: impl Into<String>) {
        self.mistakes.push(Mistake::new(line, message));
    }

    fn enter(&mut self, definition: &'a Definition) {
        match &definition.body {
            Body::Const(value) => self.enter_number(definition.line, &definition.name, *value),
            Body::Enum(enumerators) => {
                self.enter_type(definition);
                self.enter_enumerators(enumerators);
            }
            Body::Program(_) => {}
            _ => self.enter_type(definition),
        }
    }

    fn enter_type(&mut self, definition: &'a Definition) {
        let Definition { name, line, .. } = definition;
        if let Some(first) = self.types.insert(name, definition) {
            let first = first.line;
            self.wrong(
                *line,
                format!("`{name}` is defined in line {first}; write another name"),
            );
        }
    }

    fn enter_number(&mut self, line: usize, name: &'a str, value: i128) {
        if self.numbers.insert(name, value).is_some() {
            self.wrong(
                line,
                format!("`{name}` is a number already; write another name"),
            );
        }
    }

    fn enter_enumerators(&mut self, enumerators: &'a [Enumerator]) {
        let mut next = 0;
        for one in enumerators {
            let value = one.value.clone().unwrap_or(Value::Number(next));
            let value = self.number(one.line, &value, i32::MIN.into(), i32::MAX.into());
            let value = value.unwrap_or(next);
            self.enter_number(one.line, &one.name, value);
            next = value + 1;
        }
    }

    /// Returns the number if it is between the two, both included.
    fn number(&mut self, line: usize, value: &Value, min: i128, max: i128) -> Option<i128> {
        let number = match value {
            Value::Number(number) => *number,
            Value::Name(name) => {
                let Some(number) = self.numbers.get(&**name) else {
                    self.wrong(
                        line,
                        format!("`{name}` is no number; write `const {name} = 10;` before it"),
                    );
                    return None;
                };
                *number
            }
        };
        if number < min || number > max {
            self.wrong(
                line,
                format!("`{number}` does not fit; write a number from {min} to {max}"),
            );
            return None;
        }
        Some(number)
    }

    fn small(&mut self, line: usize, value: &Value, min: u32) -> Option<u32> {
        let number = self.number(line, value, min.into(), u32::MAX.into())?;
        u32::try_from(number).ok()
    }

    fn definition(&mut self, definition: &'a Definition) -> Option<interface::Definition> {
        let body = match &definition.body {
            Body::Typedef(declaration) => {
                let name = &*definition.name;
                self.following.push(name);
                let ty = self.ty(declaration);
                self.following.pop();
                interface::Body::Alias(ty?)
            }
            Body::Enum(enumerators) => {
                interface::Body::Enum(self.enumeration(definition, enumerators))
            }
            Body::Struct(fields) => interface::Body::Struct(self.fields(fields)),
            Body::Union(union) => interface::Body::Union(self.union(definition, union)?),
            Body::Const(_) | Body::Program(_) => return None,
        };
        Some(interface::Definition {
            name: definition.name.clone(),
            body,
        })
    }

    fn enumeration(
        &mut self,
        definition: &Definition,
        enumerators: &[Enumerator],
    ) -> Vec<(String, i32)> {
        let all = enumerators.iter().map(|one| &*one.name);
        let variants = names::variants(&definition.name, all);
        let mut seen: Vec<(String, i32)> = Vec::new();
        for (one, variant) in enumerators.iter().zip(variants) {
            let value = self.numbers.get(&*one.name).copied();
            let value = value
                .and_then(|value| i32::try_from(value).ok())
                .unwrap_or(0);
            let name = &one.name;
            if seen.iter().any(|(_, other)| *other == value) {
                self.wrong(
                    one.line,
                    format!("`{name}` has the number of another one; write a number of its own"),
                );
            } else if seen.iter().any(|(other, _)| *other == variant) {
                self.wrong(
                    one.line,
                    format!("`{name}` and another are both `{variant}` in Rust; rename one"),
                );
            }
            seen.push((variant, value));
        }
        seen
    }

    fn fields(&mut self, fields: &'a [Declaration]) -> Vec<(String, Type)> {
        let mut seen: Vec<(String, Type)> = Vec::new();
        for field in fields {
            let name = names::snake(&field.name);
            if seen.iter().any(|(other, _)| *other == name) {
                self.wrong(
                    field.line,
                    format!("`{name}` is a field already; write another name"),
                );
            }
            let ty = self.ty(field).unwrap_or(Type::Void);
            seen.push((name, ty));
        }
        seen
    }

    /// Resolves what is declared.
    fn ty(&mut self, declaration: &'a Declaration) -> Option<Type> {
        let Declaration {
            line,
            specifier,
            shape,
            ..
        } = declaration;
        match (specifier, shape) {
            (Specifier::String, Shape::Variable(max)) => Some(Type::String(self.max(*line, max)?)),
            (Specifier::String, _) => {
                self.wrong(*line, "a `string` has its maximum in angle brackets; write `string name<80>` or `string name<>`");
                None
            }
            (Specifier::Opaque, Shape::Variable(max)) => Some(Type::Opaque(self.max(*line, max)?)),
            (Specifier::Opaque, Shape::Fixed(length)) => {
                Some(Type::OpaqueFixed(self.fixed(*line, length)?))
            }
            (Specifier::Opaque, _) => {
                self.wrong(*line, "`opaque` has its length in brackets; write `opaque name[8]` or `opaque name<8>`");
                None
            }
            (_, Shape::Plain) => self.base(*line, specifier),
            (_, Shape::Optional) => Some(Type::Optional {
                ty: Box::new(self.base(*line, specifier)?),
                is_boxed: false,
            }),
            (_, Shape::Fixed(length)) => {
                let (ty, length) = (self.base(*line, specifier), self.fixed(*line, length));
                Some(Type::ArrayFixed(Box::new(ty?), length?))
            }
            (_, Shape::Variable(max)) => {
                let (ty, max) = (self.base(*line, specifier), self.max(*line, max));
                Some(Type::Array(Box::new(ty?), max?))
            }
        }
    }

    fn max(&mut self, line: usize, max: &Option<Value>) -> Option<u32> {
        max.as_ref()
            .map_or(Some(u32::MAX), |max| self.small(line, max, 0))
    }

    fn fixed(&mut self, line: usize, length: &Value) -> Option<u32> {
        let length = self.number(line, length, 1, MAX_FIXED.into())?;
        u32::try_from(length).ok()
    }

    fn base(&mut self, line: usize, specifier: &'a Specifier) -> Option<Type> {
        let name = match specifier {
            Specifier::Void => return Some(Type::Void),
            Specifier::Plain(plain) => return Some(Type::Plain(*plain)),
            // Both have been told apart by their shape.
            Specifier::String => return Some(Type::String(u32::MAX)),
            Specifier::Opaque => return Some(Type::Opaque(u32::MAX)),
            Specifier::Named(name) => &**name,
        };
        let Some(definition) = self.types.get(name).copied() else {
            self.unknown(line, name);
            return None;
        };
        let Body::Typedef(declaration) = &definition.body else {
            return Some(Type::Named(name.to_owned()));
        };
        if self.following.contains(&name) {
            self.wrong(
                line,
                format!("`{name}` stands for itself; write what it is"),
            );
            return None;
        }
        self.following.push(name);
        let ty = self.ty(declaration);
        self.following.pop();
        Some(Type::Alias(name.to_owned(), Box::new(ty?)))
    }

    fn unknown(&mut self, line: usize, name: &str) {
        let near = self
            .types
            .keys()
            .filter(|other| crate::words::distance(name, other) <= 2)
            .min_by_key(|other| crate::words::distance(name, other));
        let message = match near {
            Some(near) => format!("`{name}` is no type; did you mean `{near}`?"),
            None => format!("`{name}` is no type; write `struct {name} {{ ... }};` before it"),
        };
        self.wrong(line, message);
    }

    fn check_there_is_a_program(&mut self, definitions: &[Definition]) {
        let is_program = |one: &Definition| matches!(one.body, Body::Program(_));
        if !definitions.iter().any(is_program) {
            let line = definitions.last().map_or(1, |last| last.line);
            self.wrong(
                line,
                "the file has no program; write `program NAME { version ... } = 0x20000001;`",
            );
        }
    }

    /// Two names of the file may be one in Rust.
    fn check_names(&mut self, definitions: &[Definition]) {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        let mut wrong = Vec::new();
        let mut see = |line, name: &str| {
            let rust = names::camel(name);
            if let Some(other) = seen.insert(rust.clone(), name.to_owned())
                && other != name
            {
                wrong.push(Mistake::new(
                    line,
                    format!("`{other}` and `{name}` are both `{rust}` in Rust; rename one"),
                ));
            }
        };
        for definition in definitions {
            match &definition.body {
                Body::Const(_) => {}
                Body::Program(program) => program
                    .versions
                    .iter()
                    .for_each(|version| see(version.line, &version.name)),
                _ => see(definition.line, &definition.name),
            }
        }
        self.mistakes.extend(wrong);
    }
}

/// Looks through typedefs.
fn bare(mut ty: &Type) -> &Type {
    while let Type::Alias(_, inner) = ty {
        ty = inner;
    }
    ty
}

/// Whether it is one of these, perhaps by another name.
fn is_plain(ty: &Type, wanted: Plain) -> bool {
    matches!(bare(ty), Type::Plain(plain) if *plain == wanted)
}

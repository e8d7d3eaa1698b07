//! Unions: a variant for each case.

use super::{Resolver, bare, is_plain};
use crate::rpc::interface::{self, Plain, Switch, Type, Variant};
use crate::rpc::names;
use crate::rpc::syntax::{Body, Definition, Union, Value};

/// What a union may be switched by: the numbers, each with its name in Rust; or any number.
struct Range {
    switch: Switch,
    names: Option<Vec<(String, i64)>>,
}

impl<'a> Resolver<'a> {
    pub(super) fn union(
        &mut self,
        definition: &Definition,
        union: &'a Union,
    ) -> Option<interface::Union> {
        let range = self.range(union)?;
        let mut variants: Vec<Variant> = Vec::new();
        for arm in &union.arms {
            let ty = self.ty(&arm.declaration).unwrap_or(Type::Void);
            for (line, label) in &arm.labels {
                let Some((name, value)) = self.label(*line, label, &range) else {
                    continue;
                };
                if variants.iter().any(|other| other.value == value) {
                    self.wrong(*line, format!("`case {value}` is written twice; keep one"));
                } else if variants.iter().any(|other| other.name == name) {
                    self.wrong(*line, format!("two cases are `{name}` in Rust; rename one"));
                }
                variants.push(Variant {
                    name,
                    value,
                    ty: ty.clone(),
                });
            }
        }
        let default = union.default.as_ref().map(|one| (self.ty(one), one.line));
        let mut default = default.map(|(ty, line)| (ty.unwrap_or(Type::Void), line));
        if let (Some(names), Some((ty, _))) = (&range.names, &default) {
            let rest = |name: &&(String, i64)| variants.iter().all(|one| one.value != name.1);
            let rest: Vec<_> = names.iter().filter(rest).cloned().collect();
            let rest = rest.into_iter().map(|(name, value)| Variant {
                name,
                value,
                ty: ty.clone(),
            });
            variants.extend(rest);
            default = None;
        }
        if let Some((_, line)) = &default
            && variants.iter().any(|one| one.name == "Other")
        {
            self.wrong(
                *line,
                format!(
                    "a case of `{}` and its default are both `Other` in Rust; rename the case",
                    definition.name
                ),
            );
        }
        Some(interface::Union {
            switch: range.switch,
            variants,
            default: default.map(|(ty, _)| ty),
        })
    }

    fn range(&mut self, union: &'a Union) -> Option<Range> {
        let ty = self.ty(&union.switch)?;
        let range = |switch, names| Some(Range { switch, names });
        if is_plain(&ty, Plain::Int) {
            return range(Switch::Int, None);
        }
        if is_plain(&ty, Plain::UnsignedInt) {
            return range(Switch::UnsignedInt, None);
        }
        if is_plain(&ty, Plain::Bool) {
            let names = [("False", 0), ("True", 1)];
            let names = names.map(|(name, value)| (name.to_owned(), value));
            return range(Switch::Int, Some(names.into()));
        }
        if let Type::Named(name) = bare(&ty)
            && let Some(Definition {
                body: Body::Enum(enumerators),
                ..
            }) = self.types.get(&**name)
        {
            let variants = names::variants(name, enumerators.iter().map(|one| &*one.name));
            let numbers = enumerators
                .iter()
                .map(|one| self.numbers.get(&*one.name).copied());
            let numbers = numbers.map(|number| i64::try_from(number.unwrap_or(0)).unwrap_or(0));
            return range(
                Switch::Int,
                Some(variants.into_iter().zip(numbers).collect()),
            );
        }
        self.wrong(
            union.switch.line,
            "a union is switched by a number; write `int`, `unsigned int`, `bool` or an enum",
        );
        None
    }

    /// Returns the name of the case in Rust, and its number.
    fn label(&mut self, line: usize, label: &Value, range: &Range) -> Option<(String, i64)> {
        let (min, max) = match range.switch {
            Switch::Int => (i32::MIN.into(), i32::MAX.into()),
            Switch::UnsignedInt => (0, u32::MAX.into()),
        };
        let value = i64::try_from(self.number(line, label, min, max)?).ok()?;
        let Some(names) = &range.names else {
            let name = match label {
                Value::Name(name) => names::camel(name),
                Value::Number(_) if value < 0 => format!("CaseMinus{}", -value),
                Value::Number(_) => format!("Case{value}"),
            };
            return Some((name, value));
        };
        let found = names.iter().find(|one| one.1 == value).cloned();
        if found.is_none() {
            self.wrong(
                line,
                format!(
                    "`{value}` is no value of what the union is switched by; write one of its names"
                ),
            );
        }
        found
    }
}

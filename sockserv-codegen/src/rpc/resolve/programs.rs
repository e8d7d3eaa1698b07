//! Programs, versions, procedures.

use super::Resolver;
use crate::hooks::{Hook, LIFE};
use crate::rpc::interface::{self, Interface, Type};
use crate::rpc::names;
use crate::rpc::syntax::{Declaration, Definition, Procedure, Program, Specifier, Version};

/// Methods that are there for something else: a procedure of this name gets a `_`.
fn is_taken(method: &str) -> bool {
    LIFE.contains(&method) || Hook::ALL.iter().any(|hook| hook.name() == method)
}

impl<'a> Resolver<'a> {
    pub(super) fn program(
        &mut self,
        definition: &Definition,
        program: &'a Program,
    ) -> interface::Program {
        let name = &definition.name;
        if program.versions.is_empty() {
            self.wrong(
                definition.line,
                format!("`{name}` has no version; write `version {name}_V1 {{ ... }} = 1;` in it"),
            );
        }
        let number = self.small(definition.line, &program.number, 0).unwrap_or(0);
        let mut versions: Vec<interface::Version> = Vec::new();
        for version in &program.versions {
            let resolved = self.version(version);
            if versions.iter().any(|other| other.number == resolved.number) {
                let (name, number) = (&version.name, resolved.number);
                self.wrong(version.line, format!("`{name}` has the number {number} of another version; write a number of its own"));
            }
            versions.push(resolved);
        }
        interface::Program { number, versions }
    }

    fn version(&mut self, version: &'a Version) -> interface::Version {
        let number = self.small(version.line, &version.number, 0).unwrap_or(0);
        let mut procedures: Vec<interface::Procedure> = Vec::new();
        for procedure in &version.procedures {
            let Some(resolved) = self.procedure(procedure) else {
                continue;
            };
            let name = &procedure.name;
            if procedures
                .iter()
                .any(|other| other.number == resolved.number)
            {
                let number = resolved.number;
                self.wrong(procedure.line, format!("`{name}` has the number {number} of another procedure; write a number of its own"));
            } else if procedures
                .iter()
                .any(|other| other.method == resolved.method)
            {
                let method = &resolved.method;
                self.wrong(
                    procedure.line,
                    format!("`{name}` is another procedure's method `{method}`; rename one"),
                );
            }
            procedures.push(resolved);
        }
        interface::Version {
            name: version.name.clone(),
            number,
            procedures,
        }
    }

    /// Returns nothing for the null procedure, which the runtime answers.
    fn procedure(&mut self, procedure: &'a Procedure) -> Option<interface::Procedure> {
        let Procedure { line, name, .. } = procedure;
        let number = self.small(*line, &procedure.number, 0)?;
        let result = self.ty(&procedure.result).unwrap_or(Type::Void);
        let arguments = self.arguments(*line, &procedure.arguments);
        if number == 0 {
            if result != Type::Void || !arguments.is_empty() {
                self.wrong(*line, format!("procedure 0 takes and returns nothing; write `void {name}(void) = 0`, or another number"));
            }
            return None;
        }
        Some(interface::Procedure {
            name: name.clone(),
            number,
            method: names::snake(name),
            arguments,
            result,
        })
    }

    fn arguments(&mut self, line: usize, arguments: &'a [Declaration]) -> Vec<Type> {
        let is_void = |one: &Declaration| one.specifier == Specifier::Void;
        if let [only] = arguments
            && is_void(only)
        {
            return Vec::new();
        }
        if arguments.iter().any(is_void) {
            self.wrong(line, "`void` stands alone; leave it out");
        }
        let types = arguments
            .iter()
            .map(|one| self.ty(one).unwrap_or(Type::Void));
        types.collect()
    }

    /// Several versions may have a procedure of one name, but one handler has one method of a name.
    pub(super) fn check_methods(&mut self, interface: &mut Interface) {
        let versions = || interface.programs.iter().flat_map(|one| &one.versions);
        let all: Vec<_> = versions().flat_map(|one| &one.procedures).collect();
        let is_shared = |method: &str| all.iter().filter(|one| one.method == method).count() > 1;
        let shared: Vec<_> = all.iter().map(|one| is_shared(&one.method)).collect();
        let mut shared = shared.into_iter();
        for program in &mut interface.programs {
            for version in &mut program.versions {
                for procedure in &mut version.procedures {
                    if shared.next() == Some(true) {
                        procedure.method = format!("{}_{}", procedure.method, version.number);
                    } else if is_taken(&procedure.method) {
                        procedure.method.push('_');
                    }
                }
            }
        }
        self.check_methods_differ(interface);
    }

    fn check_methods_differ(&mut self, interface: &Interface) {
        let mut seen = Vec::new();
        let versions = interface.programs.iter().flat_map(|one| &one.versions);
        for procedure in versions.flat_map(|one| &one.procedures) {
            let method = &procedure.method;
            if seen.contains(&method) {
                self.wrong(1, format!("two procedures have the method `{method}`; rename one of the procedures `{}`", procedure.name));
            }
            seen.push(method);
        }
    }
}

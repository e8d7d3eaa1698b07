//! What a tool wants to know of an interface file.

use proc_macro2::Span;
use syn::LitStr;

use crate::plan::{module, unwritten};
use crate::rpc;

/// An interface file, as far as one must know it to write a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The module that it becomes.
    pub module: String,
    /// The number of each program and of each of its versions.
    pub programs: Vec<(u32, u32)>,
    /// In the order of the file.
    pub procedures: Vec<Procedure>,
}

/// A procedure that has no method yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Procedure {
    /// As it is written in the file.
    pub name: String,
    /// As in `fn add(&mut self, _argument: calculator::Operands) -> Result<i32, Fault>`.
    pub method: String,
}

impl Interface {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// What is wrong in the file, each with its line.
    ///
    /// # Examples
    ///
    /// ```
    /// use sockserv_codegen::Interface;
    ///
    /// let text = "program PING { version PING_1 { string PING(string) = 1; } = 1; } = 536871168;";
    /// let interface = Interface::read("ping.x", text).unwrap();
    /// assert_eq!(interface.module, "ping");
    /// assert_eq!(interface.programs, [(536871168, 1)]);
    /// assert_eq!(interface.procedures[0].method, "fn ping(&mut self, _argument: String) -> Result<String, Fault>");
    /// ```
    pub fn read(path: &str, text: &str) -> Result<Self, Vec<String>> {
        let module = module(&LitStr::new(path, Span::call_site()));
        let interface = rpc::read(text).map_err(|mistakes| {
            let mistakes = mistakes.iter();
            let told = mistakes.map(|one| format!("`{path}`, line {}: {}", one.line, one.message));
            told.collect::<Vec<_>>()
        })?;
        let programs = interface.programs.iter();
        let versions = programs.clone().flat_map(|program| {
            program
                .versions
                .iter()
                .map(|one| (program.number, one.number))
        });
        let procedures = programs
            .flat_map(|program| &program.versions)
            .flat_map(|version| &version.procedures);
        let procedures = procedures.map(|one| Procedure {
            name: one.name.clone(),
            method: unwritten(one, &module),
        });
        Ok(Self {
            programs: versions.collect(),
            procedures: procedures.collect(),
            module: module.to_string(),
        })
    }
}

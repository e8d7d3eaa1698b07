//! The file as it is found, and the methods that are its procedures.

use std::path::Path;

use proc_macro2::{Ident, Span};
use syn::LitStr;
use syn::ext::IdentExt;

use crate::errors::Errors;
use crate::handler::{Form, Handler, Method};
use crate::plan::methods::check_can_be_called;
use crate::rpc::interface::{Procedure, Type};
use crate::rpc::{self, Interface, names};
use crate::words;

/// An interface file and who fills it.
pub(crate) struct Rpc<'a> {
    /// The path as it is written.
    pub(crate) path: &'a LitStr,
    /// The file could be read; what is read belongs to what is compiled.
    pub(crate) is_there: bool,
    /// The name of the module that it becomes.
    pub(crate) module: Ident,
    pub(crate) interface: Interface,
    /// Nothing if the user implements the traits by hand.
    pub(crate) procedures: Option<Vec<Procedures<'a>>>,
}

/// The method of a procedure; several if `#[cfg]` chooses between them, none if it was reported.
pub(crate) struct Procedures<'a> {
    /// The name of the method.
    pub(crate) name: String,
    pub(crate) methods: Vec<&'a Method>,
}

impl<'a> Rpc<'a> {
    /// Never fails: a broken file is reported and has no procedures.
    pub(super) fn new(
        path: &'a LitStr,
        folder: Option<&Path>,
        handler: &'a Handler,
        errors: &mut Errors,
    ) -> Self {
        let text = read(path, folder, errors);
        let is_there = text.is_some();
        let interface = text
            .map(|text| understand(path, &text, errors))
            .unwrap_or_default();
        let module = module(path);
        let mut rpc = Self {
            path,
            is_there,
            module,
            interface,
            procedures: None,
        };
        if let Form::Impl(methods) = &handler.form {
            let versions = rpc.interface.programs.iter().flat_map(|one| &one.versions);
            let procedures = versions.flat_map(|one| &one.procedures);
            let found = procedures.map(|one| find(one, &rpc.module, handler, methods, errors));
            rpc.procedures = Some(found.collect());
        }
        rpc
    }

    /// Tells whether a method is a procedure.
    pub(in crate::plan) fn has(&self, method: &Method) -> bool {
        let name = method.sig.ident.unraw();
        self.procedures.iter().flatten().any(|one| name == one.name)
    }

    /// Returns where the file is named.
    pub(crate) fn span(&self) -> Span {
        self.path.span()
    }
}

/// Reads the file, from the folder of the manifest.
fn read(path: &LitStr, folder: Option<&Path>, errors: &mut Errors) -> Option<String> {
    let manifest = || std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let folder = folder.map_or_else(|| manifest().into(), Path::to_owned);
    let file = folder.join(path.value());
    match std::fs::read_to_string(&file) {
        Ok(text) => Some(text),
        Err(error) => {
            let file = file.display();
            errors.at(
                path,
                format_args!(
                    "cannot read `{file}`: {error}; write a path from the folder of Cargo.toml"
                ),
            );
            None
        }
    }
}

fn understand(path: &LitStr, text: &str, errors: &mut Errors) -> Interface {
    match rpc::read(text) {
        Ok(interface) => interface,
        Err(mistakes) => {
            let file = path.value();
            for mistake in mistakes {
                let (line, message) = (mistake.line, mistake.message);
                errors.at(path, format_args!("`{file}`, line {line}: {message}"));
            }
            Interface::default()
        }
    }
}

/// `proto/calculator.x` is the module `calculator`.
pub(crate) fn module(path: &LitStr) -> Ident {
    let value = path.value();
    let stem = Path::new(&value).file_stem().unwrap_or_default();
    let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = stem.to_string_lossy().chars().map(word).collect();
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
    let name = names::snake(&if begins_well {
        name
    } else {
        format!("rpc_{name}")
    });
    if names::is_keyword(&name) {
        Ident::new_raw(&name, Span::call_site())
    } else {
        Ident::new(&name, Span::call_site())
    }
}

fn find<'a>(
    procedure: &Procedure,
    module: &Ident,
    handler: &'a Handler,
    methods: &'a [Method],
    errors: &mut Errors,
) -> Procedures<'a> {
    let name = &procedure.method;
    let named = |method: &&Method| method.sig.ident.unraw() == name;
    let mut found: Vec<&Method> = methods.iter().filter(named).collect();
    let wanted = signature(procedure, module);
    if found.is_empty() {
        let near = |method: &&Method| words::distance(&method.sig.ident.to_string(), name) <= 2;
        match methods.iter().find(near) {
            Some(near) => errors.at(
                &near.sig.ident,
                format_args!(
                    "`{}` is no procedure; did you mean `{wanted}`?",
                    near.sig.ident
                ),
            ),
            None => errors.at(
                &handler.ty,
                format_args!(
                    "the procedure `{}` is missing; write `{wanted}`",
                    procedure.name
                ),
            ),
        }
    }
    found.retain(|method| {
        let before = errors.len();
        check(method, procedure, &wanted, errors);
        errors.len() == before
    });
    // A second one of the same name is the compiler's to report, unless `#[cfg]` chooses between them.
    if found.iter().any(|method| method.cfgs().next().is_none()) {
        found.truncate(1);
    }
    Procedures {
        name: name.clone(),
        methods: found,
    }
}

fn check(method: &Method, procedure: &Procedure, wanted: &str, errors: &mut Errors) {
    let sig = &method.sig;
    check_can_be_called(sig, wanted, errors);
    let count = method.parameter_spans().len();
    let fits = count == procedure.arguments.len() || count == procedure.arguments.len() + 1;
    if sig.receiver().is_none() || !fits {
        errors.at(
            &sig.ident,
            format_args!("`{}` has another signature; write `{wanted}`", sig.ident),
        );
    }
}

/// Returns the method that a procedure wants.
fn signature(procedure: &Procedure, module: &Ident) -> String {
    let result = match &procedure.result {
        Type::Void => String::new(),
        result => format!(" -> {}", prose(result, module)),
    };
    format!("fn {}{result}", call(procedure, module, ""))
}

/// Returns a method that does not use its arguments yet, and may fail.
pub(crate) fn unwritten(procedure: &Procedure, module: &Ident) -> String {
    let result = prose(&procedure.result, module);
    let call = call(procedure, module, "_");
    format!("fn {call} -> Result<{result}, Fault>")
}

/// `add(&mut self, argument: calculator::Operands)`
fn call(procedure: &Procedure, module: &Ident, prefix: &str) -> String {
    let mut parameters = "&mut self".to_owned();
    for (at, ty) in procedure.arguments.iter().enumerate() {
        let name = match procedure.arguments.len() {
            1 => format!("{prefix}argument"),
            _ => format!("{prefix}argument_{at}"),
        };
        parameters += &format!(", {name}: {}", prose(ty, module));
    }
    let name = &procedure.method;
    let raw = if names::is_keyword(name) { "r#" } else { "" };
    format!("{raw}{name}({parameters})")
}

fn prose(ty: &Type, module: &Ident) -> String {
    match ty {
        Type::Void => "()".to_owned(),
        Type::Plain(plain) => plain.rust().to_owned(),
        Type::String(_) => "String".to_owned(),
        Type::Opaque(_) => "Bytes".to_owned(),
        Type::OpaqueFixed(length) => format!("[u8; {length}]"),
        Type::Array(ty, _) => format!("Vec<{}>", prose(ty, module)),
        Type::ArrayFixed(ty, length) => format!("[{}; {length}]", prose(ty, module)),
        Type::Optional { ty, is_boxed: true } => format!("Option<Box<{}>>", prose(ty, module)),
        Type::Optional { ty, .. } => format!("Option<{}>", prose(ty, module)),
        Type::Named(name) | Type::Alias(name, _) => format!("{module}::{}", names::camel(name)),
    }
}

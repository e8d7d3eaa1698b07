//! Finding `#[server]` in the files of a crate.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use sockserv_codegen::Inspection;
use syn::visit::Visit;
use syn::{Attribute, ItemEnum, ItemImpl, ItemStruct, Meta};

use crate::Result;

/// Where to look.
#[derive(Args)]
pub(crate) struct Source {
    /// A file, or a folder with files
    #[arg(default_value = ".")]
    path: PathBuf,
}

/// A `#[server]`, and where it stands.
pub(crate) struct Found {
    /// As in `src/main.rs:9`.
    pub(crate) place: String,
    pub(crate) server: Inspection,
}

impl Source {
    /// Returns all servers, in the order of files and lines.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or parsed; a server that does not compile; or that there is none.
    pub(crate) fn servers(&self) -> Result<Vec<Found>> {
        let path = &self.path;
        let mut files = Vec::new();
        collect(path, &mut files)
            .map_err(|error| format!("cannot read `{}`: {error}", path.display()))?;
        let mut found = Vec::new();
        for file in files {
            found.extend(in_file(&file)?);
        }
        if found.is_empty() {
            return Err(format!("there is no `#[server]` in `{}`", path.display()).into());
        }
        Ok(found)
    }
}

/// The Rust files, without what was built and what is hidden.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
    let mut entries: Vec<PathBuf> = entries.collect::<std::io::Result<_>>()?;
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let is_code = entry.is_dir() || name.ends_with(".rs");
        if is_code && name != "target" && !name.starts_with('.') {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn in_file(path: &Path) -> Result<Vec<Found>> {
    let shown = path.strip_prefix(".").unwrap_or(path).display();
    let text =
        fs::read_to_string(path).map_err(|error| format!("cannot read `{shown}`: {error}"))?;
    if !text.contains("server") {
        return Ok(Vec::new()); // Most files: not even parsed.
    }
    let at = |span: Span| format!("{shown}:{}", span.start().line);
    let file = syn::parse_file(&text).map_err(|error| format!("{}: {error}", at(error.span())))?;
    let mut servers = Servers::default();
    servers.visit_file(&file);
    let folder = manifest_folder(path);
    let mut found = Vec::new();
    for (attribute, item) in servers.0 {
        let Meta::List(list) = &attribute.meta else {
            continue;
        };
        let Some(server) = sockserv_codegen::inspect(list.tokens.clone(), item, &folder) else {
            continue;
        };
        if !server.mistakes.is_empty() {
            let mistakes = server.mistakes.iter();
            let told: Vec<String> = mistakes
                .map(|one| format!("{}: {one}", at(one.span())))
                .collect();
            return Err(told.join("\nerror: ").into());
        }
        let place = at(attribute.pound_token.span);
        found.push(Found { place, server });
    }
    Ok(found)
}

/// The folder of the nearest `Cargo.toml`.
fn manifest_folder(path: &Path) -> PathBuf {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let folder = path
        .ancestors()
        .skip(1)
        .find(|folder| folder.join("Cargo.toml").is_file());
    folder.unwrap_or(Path::new(".")).to_owned()
}

/// Each attribute with its item, which has it no more.
#[derive(Default)]
struct Servers(Vec<(Attribute, TokenStream)>);

impl Servers {
    fn take(&mut self, attributes: &[Attribute], item: impl FnOnce(Vec<Attribute>) -> TokenStream) {
        let is_server = |attribute: &Attribute| {
            attribute
                .path()
                .segments
                .last()
                .is_some_and(|last| last.ident == "server")
        };
        let mut rest = attributes.to_vec();
        if let Some(at) = rest.iter().position(is_server) {
            let attribute = rest.remove(at);
            self.0.push((attribute, item(rest)));
        }
    }
}

impl<'ast> Visit<'ast> for Servers {
    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        self.take(&item.attrs, |attrs| {
            ItemImpl {
                attrs,
                ..item.clone()
            }
            .into_token_stream()
        });
        syn::visit::visit_item_impl(self, item);
    }

    fn visit_item_struct(&mut self, item: &'ast ItemStruct) {
        self.take(&item.attrs, |attrs| {
            ItemStruct {
                attrs,
                ..item.clone()
            }
            .into_token_stream()
        });
    }

    fn visit_item_enum(&mut self, item: &'ast ItemEnum) {
        self.take(&item.attrs, |attrs| {
            ItemEnum {
                attrs,
                ..item.clone()
            }
            .into_token_stream()
        });
    }
}

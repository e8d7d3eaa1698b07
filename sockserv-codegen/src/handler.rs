//! The user's item, seen as a handler: its type, its generics, its methods. Bodies are not even parsed.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Generics, ItemEnum, ItemStruct, Path, ReturnType, Signature, Token, Type,
    Visibility, braced, token,
};

use crate::errors::Errors;

/// What the attribute stands on.
pub(crate) struct Item {
    /// The item as it goes back to the compiler.
    pub(crate) tokens: TokenStream,
    /// Nothing if no server can be made of it.
    pub(crate) handler: Option<Handler>,
}

/// A type that handles requests.
pub(crate) struct Handler {
    pub(crate) form: Form,
    pub(crate) generics: Generics,
    pub(crate) ty: Type,
    /// The type's last word.
    pub(crate) name: Ident,
}

/// Where the attribute stands.
pub(crate) enum Form {
    /// On the type; a trait impl stands elsewhere.
    Type(Visibility),
    /// On an inherent `impl` with these methods.
    Impl(Vec<Method>),
}

/// A function of the `impl` block.
pub(crate) struct Method {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) sig: Signature,
}

impl Method {
    /// Returns the user's `#[cfg]`s, which follow what mirrors the method.
    pub(crate) fn cfgs(&self) -> impl Iterator<Item = &Attribute> {
        self.attrs.iter().filter(|attr| attr.path().is_ident("cfg"))
    }

    /// Tells whether it is there for certain. One that `#[cfg]` may take away is judged by the compiler alone.
    pub(crate) fn is_there(&self) -> bool {
        self.cfgs().next().is_none()
    }

    /// Returns what those `#[cfg]`s ask for.
    pub(crate) fn conditions(&self) -> Vec<&TokenStream> {
        let lists = self.cfgs().filter_map(|cfg| cfg.meta.require_list().ok());
        lists.map(|list| &list.tokens).collect()
    }

    /// Tells whether it is called by what it is named in a message.
    pub(crate) fn is_verb(&self) -> bool {
        self.attrs.iter().any(is_verb)
    }

    /// Tells whether its result is `!`.
    pub(crate) fn never_returns(&self) -> bool {
        matches!(&self.sig.output, ReturnType::Type(_, ty) if matches!(ungroup(ty), Type::Never(_)))
    }

    /// Returns where a wrong result is to be reported.
    pub(crate) fn output_span(&self) -> Span {
        match &self.sig.output {
            ReturnType::Type(_, ty) => ty.span(),
            ReturnType::Default => self.sig.ident.span(),
        }
    }

    /// Returns where a wrong parameter is to be reported, for each behind `self`.
    pub(crate) fn parameter_spans(&self) -> Vec<Span> {
        let types = self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed.ty.span()),
            FnArg::Receiver(_) => None,
        });
        types.collect()
    }
}

/// Attributes of methods that belong to `#[server]`.
const VERBS: [&str; 3] = ["command", "opcode", "procedure"];

impl Item {
    /// Never fails: what is no handler goes back as it came.
    pub(crate) fn new(tokens: TokenStream, errors: &mut Errors) -> Self {
        let parser = |input: ParseStream<'_>| {
            let (attrs, handler) = item(input, errors)?;
            let _rest: TokenStream = input.parse()?;
            Ok((attrs, handler))
        };
        let Some((attrs, handler)) = parser.parse2(tokens.clone()).ok() else {
            return Self {
                tokens,
                handler: None,
            }; // Half-typed: the compiler says why.
        };
        check_one_server(&attrs, errors);
        let methods = handler.iter().flat_map(Handler::methods);
        let twice = attrs.iter().any(is_server) as usize
            + methods.filter(|method| method.is_verb()).count();
        let tokens = if twice == 0 {
            tokens
        } else {
            without_ours(tokens, Depth::Item)
        };
        Self { tokens, handler }
    }
}

impl Handler {
    pub(crate) fn methods(&self) -> &[Method] {
        match &self.form {
            Form::Impl(methods) => methods,
            Form::Type(_) => &[],
        }
    }

    /// Returns the methods of that name: several if `#[cfg]` chooses between them.
    pub(crate) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Method> {
        self.methods()
            .iter()
            .filter(move |method| method.sig.ident == name)
    }
}

fn is_server(attr: &Attribute) -> bool {
    attr.path()
        .segments
        .last()
        .is_some_and(|segment| segment.ident == "server")
}

fn is_verb(attr: &Attribute) -> bool {
    VERBS.iter().any(|verb| attr.path().is_ident(verb))
}

/// The second attribute would make a second server of the same name.
fn check_one_server(attrs: &[Attribute], errors: &mut Errors) {
    for second in attrs.iter().filter(|attr| is_server(attr)) {
        errors.at(second, "a handler takes one `#[server]`; write everything into one, as in `#[server(tcp, udp)]`");
    }
}

/// Where an attribute of ours may stand.
#[derive(Clone, Copy)]
enum Depth {
    /// Before the item.
    Item,
    /// Before a method.
    Method,
}

/// Leaves out attributes that are ours: the compiler does not know them, or would report them again. Those in a method's
/// body are somebody else's.
fn without_ours(tokens: TokenStream, depth: Depth) -> TokenStream {
    let mut out = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '#') {
            let ours = tokens.peek().is_some_and(|next| {
                let attr = [token.clone(), next.clone()].into_iter().collect();
                let attrs = Attribute::parse_outer.parse2(attr).unwrap_or_default();
                attrs.iter().any(|attr| is_server(attr) || is_verb(attr))
            });
            if ours {
                tokens.next();
                continue;
            }
        }
        out.extend([match token {
            TokenTree::Group(group) => match below(depth, group.delimiter()) {
                Some(depth) => {
                    let inner = without_ours(group.stream(), depth);
                    let mut inner = Group::new(group.delimiter(), inner);
                    inner.set_span(group.span());
                    TokenTree::Group(inner)
                }
                None => TokenTree::Group(group),
            },
            token => token,
        }]);
    }
    out
}

/// Where what is in a group stands, if attributes of ours may be there. One without delimiters is a macro's, and no deeper.
fn below(depth: Depth, delimiter: Delimiter) -> Option<Depth> {
    match (depth, delimiter) {
        (depth, Delimiter::None) => Some(depth),
        (Depth::Item, Delimiter::Brace) => Some(Depth::Method),
        _ => None,
    }
}

fn item(
    input: ParseStream<'_>,
    errors: &mut Errors,
) -> syn::Result<(Vec<Attribute>, Option<Handler>)> {
    let attrs = input.call(Attribute::parse_outer)?;
    let fork = input.fork();
    let _vis: Visibility = fork.parse()?;
    let handler = if fork.peek(Token![struct]) {
        let item: ItemStruct = input.parse()?;
        Some(on_type(item.vis, item.ident, item.generics)?)
    } else if fork.peek(Token![impl]) || (fork.peek(Token![unsafe]) && fork.peek2(Token![impl])) {
        on_impl(input, errors)?
    } else if fork.peek(Token![enum]) {
        let item: ItemEnum = input.parse()?;
        errors.at(&item.ident, "`#[server]` stands on a struct or an `impl` block; write it on the `impl` of this enum");
        Some(on_type(item.vis, item.ident, item.generics)?)
    } else {
        refuse(&fork, errors);
        None
    };
    Ok((attrs, handler))
}

/// Says where the attribute belongs.
fn refuse(item: ParseStream<'_>, errors: &mut Errors) {
    let fork = item.fork();
    if is_fn(&fork) {
        let sig = item.parse::<Signature>();
        let message = "`#[server]` makes a server of a type, not of an `fn`; write this as `fn handle` in the `impl` block of a struct";
        match sig {
            Ok(sig) => errors.at(sig.ident, message),
            Err(error) => drop(errors.take(Err::<(), _>(error))),
        }
        return;
    }
    if item.peek(Token![trait]) {
        let token: syn::Result<Token![trait]> = item.parse();
        errors.at(token.ok(), "`#[server]` makes a server of a type, not of a trait; write it on the struct that implements the trait");
        return;
    }
    let first: syn::Result<TokenTree> = item.parse();
    if let Ok(first) = first {
        errors.at(
            first,
            "`#[server]` stands on a struct or on its `impl` block; move it there",
        );
    }
}

fn on_type(vis: Visibility, ident: Ident, generics: Generics) -> syn::Result<Handler> {
    let mut ty = ident.to_token_stream();
    generics.split_for_impl().1.to_tokens(&mut ty);
    let ty = syn::parse2(ty)?;
    Ok(Handler {
        form: Form::Type(vis),
        generics,
        ty,
        name: ident,
    })
}

/// Reads the head of an `impl` and the signatures in it.
fn on_impl(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Option<Handler>> {
    let _unsafe: Option<Token![unsafe]> = input.parse()?;
    input.parse::<Token![impl]>()?;
    let mut generics: Generics = input.parse()?;
    let _negative: Option<Token![!]> = input.parse()?;
    let first: Type = input.parse()?;
    let of_trait = input.peek(Token![for]);
    let ty = if of_trait {
        input.parse::<Token![for]>()?;
        errors.at(&first, "`#[server]` does not stand on the `impl` of a trait; write it on the struct, or on an `impl` block without a trait");
        input.parse()?
    } else {
        first
    };
    generics.where_clause = input.parse()?;
    let content;
    braced!(content in input);
    let form = if of_trait {
        Form::Type(Visibility::Inherited)
    } else {
        Form::Impl(methods(&content)?)
    };
    let Some(name) = last_word(&ty).cloned() else {
        errors.at(
            &ty,
            "a handler is a type with a name; write a struct around this one",
        );
        return Ok(None);
    };
    Ok(Some(Handler {
        form,
        generics,
        ty,
        name,
    }))
}

fn methods(input: ParseStream<'_>) -> syn::Result<Vec<Method>> {
    input.call(Attribute::parse_inner)?;
    let mut methods = Vec::new();
    while !input.is_empty() {
        let attrs = input.call(Attribute::parse_outer)?;
        let _vis: Visibility = input.parse()?;
        if is_fn(&input.fork()) {
            let sig = input.parse()?;
            input.parse::<TokenTree>()?; // The body.
            methods.push(Method { attrs, sig });
        } else {
            skip_item(input)?;
        }
    }
    Ok(methods)
}

/// Tells whether a function begins here, behind its qualifiers.
fn is_fn(input: ParseStream<'_>) -> bool {
    let qualifier = |input: ParseStream<'_>| {
        let fork = input.fork();
        let qualifies = fork.call(Ident::parse_any).is_ok_and(|word| {
            let extern_abi = word == "extern" && fork.parse::<Option<syn::LitStr>>().is_ok();
            extern_abi
                || ["const", "async", "unsafe", "safe", "default"]
                    .iter()
                    .any(|qualifier| word == qualifier)
        });
        if qualifies {
            input.advance_to(&fork);
        }
        qualifies
    };
    while qualifier(input) {}
    input.peek(Token![fn])
}

/// Skips a constant, a type or a macro call.
fn skip_item(input: ParseStream<'_>) -> syn::Result<()> {
    let ends_with_semicolon =
        input.peek(Token![const]) || input.peek(Token![type]) || input.peek(Token![static]);
    while !input.is_empty() {
        let ends_here = input.peek(Token![;]) || (!ends_with_semicolon && input.peek(token::Brace));
        TokenTree::parse(input)?;
        if ends_here {
            break;
        }
    }
    Ok(())
}

/// Returns the last word of a type's path, through the invisible groups of `macro_rules!`.
pub(crate) fn last_word(ty: &Type) -> Option<&Ident> {
    last_segment(ty).map(|segment| &segment.ident)
}

/// Returns the last segment of a type's path, through the invisible groups of `macro_rules!`.
pub(crate) fn last_segment(ty: &Type) -> Option<&syn::PathSegment> {
    match ungroup(ty) {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

/// Takes off parentheses and the invisible groups of `macro_rules!`.
pub(crate) fn ungroup(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        };
    }
}

/// Tells whether a path ends with that word.
pub(crate) fn ends_with(path: &Path, word: &str) -> bool {
    path.segments
        .last()
        .is_some_and(|segment| segment.ident == word)
}

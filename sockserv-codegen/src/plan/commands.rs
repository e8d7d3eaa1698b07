//! `#[command("GET")]`: the verbs of a method, and what its parameters take of a message.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{
    Attribute, Expr, GenericArgument, GenericParam, Lit, LitStr, Pat, PathArguments, Token, Type,
};

use super::messages::command_error;
use super::methods::Kind;
use super::values;
use super::verbs::{self, attr, check_is_a_method, check_one, is_bytes, is_taken};
use crate::args::{Args, FramingWord, Given};
use crate::errors::Errors;
use crate::handler::{Handler, Method, last_segment, last_word, ungroup};

/// The commands of a message handler.
pub(crate) struct Commands<'a> {
    pub(crate) commands: Vec<Command<'a>>,
    /// `command_error`; several if `#[cfg]` chooses between them.
    pub(crate) error: Vec<&'a Method>,
    pub(crate) ignores_case: bool,
    pub(crate) quotes: bool,
}

/// One command: a method and how it is called.
pub(crate) struct Command<'a> {
    pub(crate) method: &'a Method,
    pub(crate) verbs: Vec<LitStr>,
    pub(crate) when: Option<Expr>,
    pub(crate) parameters: Vec<Parameter<'a>>,
    /// A mistake was reported: call nothing, so that no second error follows.
    pub(crate) is_broken: bool,
}

/// A parameter behind `self`.
pub(crate) struct Parameter<'a> {
    pub(crate) name: String,
    pub(crate) ty: &'a Type,
    pub(crate) takes: Takes<'a>,
}

impl Parameter<'_> {
    /// Whether it borrows what is taken for it.
    pub(crate) fn borrows(&self) -> bool {
        matches!(self.takes, Takes::All(_)) && matches!(ungroup(self.ty), Type::Reference(_))
    }
}

/// What a parameter takes.
pub(crate) enum Takes<'a> {
    Text,
    Bytes,
    Shared,
    Rest,
    Parsed(&'a Type),
    Optional(Box<Takes<'a>>),
    All(Box<Takes<'a>>),
    Stream,
    Replies,
}

impl Takes<'_> {
    fn is_word(&self) -> bool {
        !matches!(self, Self::Stream | Self::Replies)
    }

    /// Whether nothing is left behind it.
    fn takes_all(&self) -> bool {
        match self {
            Self::Rest | Self::All(_) => true,
            Self::Optional(inner) => inner.takes_all(),
            _ => false,
        }
    }
}

impl Command<'_> {
    /// Returns how it is written.
    pub(crate) fn usage(&self) -> String {
        let mut usage = self.verbs.first().map(LitStr::value).unwrap_or_default();
        for Parameter { name, takes, .. } in &self.parameters {
            usage += &match takes {
                Takes::Stream | Takes::Replies => continue,
                Takes::Optional(inner) if inner.takes_all() => format!(" [{name}...]"),
                Takes::Optional(_) => format!(" [{name}]"),
                Takes::All(_) => format!(" [{name}...]"),
                Takes::Rest => format!(" {name}..."),
                _ => format!(" {name}"),
            };
        }
        usage
    }

    /// Returns the first paragraph of its documentation, in one line.
    pub(crate) fn about(&self) -> String {
        let lines = self.method.attrs.iter().filter_map(documentation);
        let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).collect();
        let paragraph = lines.iter().skip_while(|line| line.is_empty());
        let paragraph: Vec<&str> = paragraph
            .take_while(|line| !line.is_empty())
            .map(String::as_str)
            .collect();
        paragraph.join(" ")
    }

    pub(crate) fn takes_stream(&self) -> bool {
        let mut parameters = self.parameters.iter();
        parameters.any(|parameter| matches!(parameter.takes, Takes::Stream))
    }
}

fn documentation(attr: &Attribute) -> Option<String> {
    let value = &attr.meta.require_name_value().ok()?.value;
    match value {
        Expr::Lit(literal) if attr.path().is_ident("doc") => match &literal.lit {
            Lit::Str(text) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

/// Finds them; nothing if there are none.
pub(super) fn commands<'a>(
    args: &'a Args,
    handler: &'a Handler,
    kind: Kind,
    errors: &mut Errors,
) -> Option<Commands<'a>> {
    let methods = verbs::methods(handler, "command");
    if methods.is_empty() {
        for manner in &args.manners {
            let word = &manner.word;
            errors.at(word, format_args!("`{word}` is about commands, and there are none; leave it out, or write `#[command(\"GET\")]` on a method"));
        }
        return None;
    }
    let framing = args.framings.first();
    if framing.is_none() && !args.is_unclear {
        let attr = attr(methods[0], "command");
        errors.at(attr, "a command needs to know where a message ends; write a framing in the `#[server(...)]`, as `lines`");
    }
    for message in handler.named("message") {
        errors.at(
            &message.sig.ident,
            "the commands take the messages; leave out `message`",
        );
    }
    let commands = methods.into_iter();
    let commands: Vec<_> = commands
        .map(|method| command(method, kind, errors))
        .collect();
    let manner = |word: &str| {
        args.manners
            .iter()
            .any(|given| given.word == word && given.value)
    };
    let ignores_case = manner("ignore_case");
    check_verbs_once(&commands, ignores_case, errors);
    let error = command_error(handler, errors);
    check_own_codec(framing, handler, errors);
    Some(Commands {
        commands,
        error,
        ignores_case,
        quotes: manner("quoting"),
    })
}

/// What answers by default speaks in lines.
fn check_own_codec(framing: Option<&Given<FramingWord>>, handler: &Handler, errors: &mut Errors) {
    if let Some(Given { word, value }) = framing
        && let FramingWord::Own(codec) = value
        && handler.named("command_error").next().is_none()
    {
        let codec = super::prose(codec);
        errors.at(
            word,
            format_args!(
                "only you know how `{codec}` says that something is no command; write `fn command_error(&mut self, error: &CommandError, replies: &mut Replies<{codec}>) -> io::Result<()>`"
            ),
        );
    }
}

/// Reads the attribute and the parameters.
fn command<'a>(method: &'a Method, kind: Kind, errors: &mut Errors) -> Command<'a> {
    let begin = errors.len();
    let (mut verbs, mut when) = (Vec::new(), None);
    if let Some(attr) = attr(method, "command") {
        let before = errors.len();
        let tokens = attr.meta.require_list().map(|list| list.tokens.clone());
        let parse = |input: ParseStream<'_>| entries(input, &mut verbs, &mut when, errors);
        let result = parse.parse2(tokens.unwrap_or_default());
        errors.take(result);
        if verbs.is_empty() && errors.len() == before {
            errors.at(
                attr,
                "a command needs its verb; write `#[command(\"GET\")]`",
            );
        }
    }
    check_one(
        method,
        "command",
        "a method is one command; write all its verbs into one, as `#[command(\"GET\", \"FETCH\")]`",
        errors,
    );
    let wanted = format!("fn {}(&mut self, key: &str) -> String", method.sig.ident);
    check_is_a_method(method, "a command is", &wanted, errors);
    let mut generics = method.sig.generics.params.iter();
    if let Some(generic) = generics.find(|one| !matches!(one, GenericParam::Lifetime(_))) {
        errors.at(
            generic,
            "an argument of a command has one type; write it in place of a generic one",
        );
    }
    let parameters = verbs::parameters(method);
    let parameters: Vec<_> = parameters
        .map(|typed| Parameter {
            name: name(&typed.pat),
            ty: &typed.ty,
            takes: takes(&typed.ty, kind, errors),
        })
        .collect();
    check_order(&parameters, errors);
    Command {
        method,
        verbs,
        when,
        parameters,
        is_broken: errors.len() > begin,
    }
}

/// Returns what errors call a parameter.
fn name(pat: &Pat) -> String {
    match pat {
        Pat::Ident(pat) => {
            let name = pat.ident.unraw().to_string();
            name.trim_start_matches('_').to_owned()
        }
        _ => "argument".to_owned(),
    }
}

/// Reads `"GET", "FETCH", when = Self::authenticated`.
fn entries(
    input: ParseStream<'_>,
    verbs: &mut Vec<LitStr>,
    when: &mut Option<Expr>,
    errors: &mut Errors,
) -> syn::Result<()> {
    while !input.is_empty() {
        if input.peek(Lit) {
            let literal: Lit = input.parse()?;
            match literal {
                Lit::Str(verb) if is_verb(&verb.value()) => verbs.push(verb),
                Lit::Str(verb) => errors.at(
                    verb,
                    "a verb is one or more words with single spaces between them; write `#[command(\"GET\")]`",
                ),
                other => errors.at(other, "a verb is text; write `#[command(\"GET\")]`"),
            }
        } else {
            let word = input.call(Ident::parse_any)?;
            let value = input
                .parse::<Option<Token![=]>>()?
                .map(|_| input.parse::<Expr>())
                .transpose()?;
            match (word == "when", value) {
                (true, Some(value)) if !is_function(&value) => errors.at(value, "`when` names a method that takes `&self` and says whether the command is allowed; write `when = Self::authenticated`"),
                (true, Some(value)) if when.is_none() => *when = Some(value),
                (true, Some(_)) => errors.at(word, "`when` is written twice; keep one"),
                (true, None) => errors.at(word, "`when` needs a method that says whether the command is allowed; write `when = Self::authenticated`"),
                (false, None) => errors.at(&word, format_args!("a verb is text; write `#[command(\"{word}\")]`")),
                (false, Some(_)) => errors.at(&word, format_args!("unknown option `{word}` of `#[command]`; write verbs, and `when = Self::authenticated`")),
            }
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

fn is_function(value: &Expr) -> bool {
    matches!(values::ungroup(value), Expr::Path(_) | Expr::Closure(_))
}

fn is_verb(text: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    text.split(' ').all(is_word)
}

/// Says what a parameter of this type takes.
fn takes<'a>(ty: &'a Type, kind: Kind, errors: &mut Errors) -> Takes<'a> {
    if let Type::Reference(reference) = ungroup(ty) {
        if let Some(one) = element(&reference.elem).filter(|_| reference.mutability.is_none()) {
            return Takes::All(Box::new(takes(one, kind, errors)));
        }
        let word = last_word(&reference.elem).map(ToString::to_string);
        return match (word.as_deref(), reference.mutability.is_some()) {
            (Some("Stream"), true) if kind == Kind::Stream => Takes::Stream,
            (Some("Stream"), true) => {
                errors.at(ty, "a packet has no stream to go on with; write `&mut Replies`, or take the datagram transport out");
                Takes::Replies
            }
            (Some("Replies"), true) => Takes::Replies,
            (Some("str"), false) => Takes::Text,
            (None, false) if is_bytes(&reference.elem) => Takes::Bytes,
            _ => {
                errors.at(ty, "an argument is borrowed as `&str` or `&[u8]`; write one of these, or a type with `FromStr`");
                Takes::Text
            }
        };
    }
    if let Type::ImplTrait(_) = ungroup(ty) {
        errors.at(
            ty,
            "an argument of a command has one type; write it in place of a generic one",
        );
    }
    let mut inner = || {
        let inner = argument(ty)?;
        let takes = takes(inner, kind, errors);
        if !takes.is_word() {
            errors.at(
                inner,
                "the stream and the replies are always there; write them alone",
            );
        }
        Some(Box::new(takes))
    };
    match last_word(ty).map(ToString::to_string).as_deref() {
        Some("Bytes") => Takes::Shared,
        Some("Rest") => Takes::Rest,
        Some("Option") => inner().map_or(Takes::Parsed(ty), Takes::Optional),
        Some("Vec") => inner().map_or(Takes::Parsed(ty), Takes::All),
        _ => Takes::Parsed(ty),
    }
}

/// Returns the `T` of `[T]`, if that is no byte.
fn element(ty: &Type) -> Option<&Type> {
    match ungroup(ty) {
        Type::Slice(slice) if !is_bytes(ty) => Some(&slice.elem),
        _ => None,
    }
}

/// Returns the `T` of `Option<T>`.
fn argument(ty: &Type) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &last_segment(ty)?.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// A parameter must be able to tell which words are its own.
fn check_order(parameters: &[Parameter<'_>], errors: &mut Errors) {
    let words: Vec<_> = parameters
        .iter()
        .filter(|parameter| parameter.takes.is_word())
        .collect();
    for pair in words.windows(2) {
        let (first, second) = (pair[0], pair[1]);
        if first.takes.takes_all() {
            errors.at(
                first.ty,
                format_args!(
                    "`{}` takes all that is left, and nothing is left for `{}`; move it to the end",
                    first.name, second.name
                ),
            );
        } else if matches!(first.takes, Takes::Optional(_))
            && !matches!(second.takes, Takes::Optional(_) | Takes::All(_))
        {
            errors.at(
                second.ty,
                format_args!(
                    "`{}` may be missing, so `{}` behind it may be, too; make it an `Option`, or move it before",
                    first.name, second.name
                ),
            );
        }
    }
    let beyond = parameters
        .iter()
        .filter(|parameter| !parameter.takes.is_word());
    for second in beyond.skip(1) {
        errors.at(
            second.ty,
            "a command goes on with its stream or with its replies; keep one (`stream.wfile` writes, too)",
        );
    }
}

fn check_verbs_once(commands: &[Command<'_>], ignores_case: bool, errors: &mut Errors) {
    let mut called = Vec::new();
    for command in commands {
        for verb in &command.verbs {
            let text = verb.value();
            let key = if ignores_case {
                text.to_ascii_uppercase()
            } else {
                text.clone()
            };
            if is_taken(&mut called, key, command.method) {
                errors.at(
                    verb,
                    format_args!("`{text}` is a command already; keep one, or write another verb"),
                );
            }
        }
    }
}

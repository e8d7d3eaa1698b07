//! A framing in the attribute, and the methods that take its messages.

use proc_macro2::{Ident, Span};
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Expr, Lit, Pat, Signature, Type};

use super::commands::{self, Commands};
use super::methods::{Kind, OR_OUTCOME, check_can_be_called, check_error_can_be_sent};
use super::opcodes::{self, Opcodes};
use super::values::{self, Setter, Value, literal, ungroup};
use super::verbs;
use crate::args::{Args, FramingWord, Given, Setting};
use crate::errors::Errors;
use crate::handler::{Form, Handler, Method, last_word};
use crate::options::{self, Framing, Rule, Width};
use crate::words;

/// How bytes become messages, and who takes them.
pub(crate) struct Messages<'a> {
    /// The framing's word.
    pub(crate) word: &'a Ident,
    pub(crate) codec: Codec<'a>,
    /// `message`; several if `#[cfg]` chooses between them, none if it was reported.
    pub(crate) message: Vec<&'a Method>,
    /// `frame_error`, likewise, or none if the default will do.
    pub(crate) frame_error: Vec<&'a Method>,
    /// What takes the messages in place of `message`.
    pub(crate) commands: Option<Commands<'a>>,
    /// Likewise.
    pub(crate) opcodes: Option<Opcodes<'a>>,
}

impl Messages<'_> {
    /// Returns the first and the last token of where a wrong codec is to be reported. The compiler joins them, and says
    /// what it has said there already only once.
    pub(crate) fn codec_ends(&self) -> (Span, Span) {
        match &self.codec {
            Codec::Own(ty) => {
                let tokens = ty.to_token_stream().into_iter();
                let last = tokens.last().map_or(ty.span(), |token| token.span());
                (ty.span(), last)
            }
            Codec::Built { .. } => (self.word.span(), self.word.span()),
        }
    }
}

/// Where one message ends and the next begins.
pub(crate) enum Codec<'a> {
    Built {
        framing: Framing,
        /// What its constructor takes.
        arguments: Vec<Value<'a>>,
        setters: Vec<Setter<'a>>,
    },
    Own(&'a Type),
}

/// How the lengths of `length_prefixed` are called here and there, how many bytes they have, and what they can say.
pub(super) const WIDTHS: [(&str, &str, u64, u64); 6] = [
    ("u8", "U8", 1, 0xff),
    ("u16_be", "U16Be", 2, 0xffff),
    ("u16_le", "U16Le", 2, 0xffff),
    ("u32_be", "U32Be", 4, 0xffff_ffff),
    ("u32_le", "U32Le", 4, 0xffff_ffff),
    ("varint", "Varint", 10, u64::MAX),
];

/// What these methods look like.
const MESSAGE: &str =
    "fn message(&mut self, message: Bytes, replies: &mut Replies) -> io::Result<()>";
const FRAME_ERROR: &str =
    "fn frame_error(&mut self, error: FrameError, replies: &mut Replies) -> io::Result<()>";
const COMMAND_ERROR: &str =
    "fn command_error(&mut self, error: &CommandError, replies: &mut Replies) -> io::Result<()>";

/// Finds them; nothing if the handler is no message handler.
pub(super) fn messages<'a>(
    args: &'a Args,
    handler: &'a Handler,
    kind: Kind,
    errors: &mut Errors,
) -> Option<Messages<'a>> {
    let commands = commands::commands(args, handler, kind, errors);
    let opcodes = opcodes::opcodes(args, handler, kind, errors);
    check_one_sort(commands.as_ref(), opcodes.as_ref(), errors);
    let first = args.framings.first()?;
    check_one_framing(&args.framings, errors);
    let word = &first.word;
    if args.is_rpc {
        errors.at(
            word,
            format_args!("`rpc` says where a message ends; leave out `{word}`"),
        );
        return None;
    }
    let Form::Impl(methods) = &handler.form else {
        errors.at(
            word,
            format_args!(
                "`{word}` calls `message`; put `#[server(...)]` on the `impl` block that has it"
            ),
        );
        return None;
    };
    let codec = match &first.value {
        FramingWord::Own(ty) => Codec::Own(ty),
        FramingWord::Built {
            framing,
            first: argument,
            options,
        } => built(*framing, word, argument.as_deref(), options, errors),
    };
    let mut message = Vec::new();
    if commands.is_none() && opcodes.is_none() {
        message = find("message", MESSAGE, handler, 1..=2, errors);
        if let Codec::Built { .. } = codec {
            message.retain(|method| takes_bytes(word, method, errors));
        }
        if handler.named("message").next().is_none() {
            missing(handler, methods, errors);
        }
    }
    check_near("frame_error", FRAME_ERROR, handler, errors);
    Some(Messages {
        word,
        codec,
        message,
        frame_error: find("frame_error", FRAME_ERROR, handler, 2..=2, errors),
        commands,
        opcodes,
    })
}

/// A message is taken once.
fn check_one_sort(
    commands: Option<&Commands<'_>>,
    opcodes: Option<&Opcodes<'_>>,
    errors: &mut Errors,
) {
    if let (Some(_), Some(opcodes)) = (commands, opcodes) {
        let second = opcodes.opcodes.first();
        errors.at(
            second.map(|opcode| &opcode.method.sig.ident),
            "a message is taken by a command or by an opcode; keep one sort, or write a second server",
        );
    }
}

fn check_one_framing(framings: &[Given<FramingWord>], errors: &mut Errors) {
    let Some((first, others)) = framings.split_first() else {
        return;
    };
    for second in others {
        let (first, second) = (&first.word, &second.word);
        let message = match first == second {
            true => format!("`{second}` is written twice; keep one"),
            false => format!("`{first}` and `{second}` both say where a message ends; keep one"),
        };
        errors.at(second, message);
    }
}

/// What answers a command, or an opcode, that failed.
pub(super) fn command_error<'a>(handler: &'a Handler, errors: &mut Errors) -> Vec<&'a Method> {
    check_near("command_error", COMMAND_ERROR, handler, errors);
    find("command_error", COMMAND_ERROR, handler, 2..=2, errors)
}

/// The methods of that name which can be called.
fn find<'a>(
    name: &str,
    wanted: &str,
    handler: &'a Handler,
    parameters: std::ops::RangeInclusive<usize>,
    errors: &mut Errors,
) -> Vec<&'a Method> {
    let named = handler.methods().iter().filter(|one| one.sig.ident == name);
    let mut found: Vec<_> = named.collect();
    found.retain(|method| {
        let before = errors.len();
        check(&method.sig, wanted, &parameters, errors);
        errors.len() == before
    });
    // A second one of the same name is the compiler's to report, unless `#[cfg]` chooses between them.
    if found.iter().any(|method| method.is_there()) {
        found.truncate(1);
    }
    found
}

/// One letter away from a name that the server calls.
fn check_near(name: &str, wanted: &str, handler: &Handler, errors: &mut Errors) {
    if handler.named(name).next().is_some() {
        return;
    }
    for method in handler.methods() {
        let near = &method.sig.ident;
        if words::distance(&near.to_string(), name) == 1 && !method.is_verb() && method.is_there() {
            errors.at(
                near,
                format_args!("`{near}` is not called by the server; did you mean `{wanted}`?"),
            );
        }
    }
}

fn check(
    sig: &Signature,
    wanted: &str,
    parameters: &std::ops::RangeInclusive<usize>,
    errors: &mut Errors,
) {
    check_can_be_called(sig, wanted, errors);
    check_error_can_be_sent(sig, OR_OUTCOME, errors);
    let count = sig.inputs.len().saturating_sub(1);
    if sig.receiver().is_none() || !parameters.contains(&count) {
        errors.at(
            &sig.ident,
            format_args!("`{}` has another signature; write `{wanted}`", sig.ident),
        );
    }
}

/// What a framing of ours hands out is no text yet, and not borrowed.
fn takes_bytes(word: &Ident, method: &Method, errors: &mut Errors) -> bool {
    let Some(typed) = verbs::parameters(method).next() else {
        return true;
    };
    let name = match &*typed.pat {
        Pat::Ident(pat) => pat.ident.to_string(),
        _ => "message".to_owned(),
    };
    let is_text = last_word(&typed.ty).is_some_and(|word| word == "String");
    let borrowed = match typed.ty.as_ref() {
        Type::Reference(reference) => Some(&reference.elem),
        _ => None,
    };
    if borrowed.is_some_and(|ty| last_word(ty).is_some_and(|word| word == "Replies")) {
        errors.at(
            &typed.ty,
            format_args!("the replies come behind the message; write `{MESSAGE}`"),
        );
        return false;
    }
    if is_text || borrowed.is_some() {
        errors.at(
            &typed.ty,
            format_args!("`{word}` hands out its messages as `Bytes`; write `{name}: Bytes`, and `str::from_utf8(&{name})` where it has to be text"),
        );
        return false;
    }
    true
}

/// The one method that a framing needs; a near miss is pointed at.
fn missing(handler: &Handler, methods: &[Method], errors: &mut Errors) {
    let is_near = |method: &&Method| words::distance(&method.sig.ident.to_string(), "message") <= 2;
    match methods.iter().find(is_near) {
        Some(near) => {
            let name = &near.sig.ident;
            errors.at(
                name,
                format_args!("`{name}` is not called by the server; did you mean `{MESSAGE}`?"),
            );
        }
        None => errors.at(
            &handler.ty,
            format_args!("`message` is missing; write `{MESSAGE}`"),
        ),
    }
}

/// Reads a codec of ours; what is wrong is reported and replaced by its default.
fn built<'a>(
    framing: Framing,
    word: &'a Ident,
    first: Option<&'a Expr>,
    options: &'a [Given<Setting>],
    errors: &mut Errors,
) -> Codec<'a> {
    let mut setters: Vec<_> = options
        .iter()
        .filter_map(|option| values::setter(option, errors))
        .collect();
    let max = setters.iter().position(|setter| setter.word == "max");
    let max = max.map(|at| setters.remove(at));
    setters.retain(|setter| setter.word != "max"); // A second one was reported.
    let mut arguments = Vec::new();
    match framing {
        Framing::Lines => arguments.push(max_or(max, 8 << 10, word)),
        Framing::RecordMarking => arguments.push(max_or(max, 1 << 20, word)),
        Framing::Delimited => match delimiter(word, first, errors) {
            Some(delimiter) => {
                arguments.push(delimiter);
                arguments.push(max_or(max, 8 << 10, word));
            }
            None => {
                // So that no second error follows.
                return built(Framing::Lines, word, None, &[], errors);
            }
        },
        Framing::Fixed => arguments.push(length(word, first, errors)),
        Framing::LengthPrefixed => {
            let (name, variant, own, limit) = width(word, first, errors);
            let includes = setters
                .iter()
                .find(|setter| setter.word == "includes_itself");
            let includes = matches!(
                includes.map(|setter| &setter.value),
                Some(Value::Flag(true, _))
            );
            let limit = if includes { limit - own } else { limit };
            check_max(max.as_ref(), name, limit, errors);
            let span = first.map_or(word.span(), Spanned::span);
            arguments.push(Value::Variant("Width", variant, span));
            arguments.push(max_or(
                max.filter(|max| fits(max, limit)),
                limit.min(64 << 10),
                word,
            ));
        }
    }
    Codec::Built {
        framing,
        arguments,
        setters,
    }
}

fn max_or<'a>(max: Option<Setter<'a>>, default: u64, word: &Ident) -> Value<'a> {
    max.map_or(Value::Number(default, Width::Usize, word.span()), |max| {
        max.value
    })
}

fn fits(max: &Setter<'_>, limit: u64) -> bool {
    !matches!(max.value, Value::Number(number, ..) if number > limit)
}

/// A length must be able to say every frame.
fn check_max(max: Option<&Setter<'_>>, name: &str, limit: u64, errors: &mut Errors) {
    if let Some(max) = max.filter(|max| !fits(max, limit))
        && let Value::Number(number, _, span) = max.value
    {
        errors.at_span(
            span,
            format_args!(
                "a length of `{name}` cannot say {number}; write `max = {limit}`, or a wider length"
            ),
        );
    }
}

pub(super) fn width(
    word: &Ident,
    first: Option<&Expr>,
    errors: &mut Errors,
) -> (&'static str, &'static str, u64, u64) {
    let named = |expr: &Expr| match ungroup(expr) {
        Expr::Path(path) => WIDTHS.iter().find(|(name, ..)| path.path.is_ident(name)),
        _ => None,
    };
    if let Some(width) = first.and_then(named) {
        return *width;
    }
    let names = WIDTHS.map(|(name, ..)| format!("`{name}`")).join(", ");
    match first {
        Some(first) => errors.at(first, format_args!("no width; write one of {names}")),
        None => errors.at(
            word,
            format_args!("`{word}` needs a width first; write one of {names}"),
        ),
    }
    WIDTHS[3]
}

fn delimiter<'a>(word: &Ident, first: Option<&'a Expr>, errors: &mut Errors) -> Option<Value<'a>> {
    let message = match first {
        Some(first) => match literal(first) {
            Some(Lit::ByteStr(bytes)) if !bytes.value().is_empty() => {
                return Some(Value::Slice(first));
            }
            None => return Some(Value::Expr(first)),
            Some(Lit::ByteStr(_)) => "a delimiter has at least one byte",
            Some(_) => "a delimiter is bytes",
        },
        None => "`delimited` needs its delimiter first",
    };
    errors.at_span(
        first.map_or(word.span(), Spanned::span),
        format_args!("{message}; write `delimited(b\"\\0\")`"),
    );
    None
}

/// How long each frame is.
fn length<'a>(word: &Ident, first: Option<&'a Expr>, errors: &mut Errors) -> Value<'a> {
    const LENGTH: Rule = Rule {
        name: "fixed",
        kind: options::Kind::Size(1),
        fits: options::ANY,
        owner: options::Owner::Server,
        example: "16",
    };
    let Some(first) = first else {
        errors.at(
            word,
            "`fixed` needs the length of a frame; write `fixed(16)`",
        );
        return Value::Number(1, Width::Usize, word.span());
    };
    match values::read(&LENGTH, first) {
        Ok(value) => value,
        Err(message) => {
            errors.at(first, message.replace("fixed = 16", "fixed(16)"));
            Value::Number(1, Width::Usize, word.span())
        }
    }
}

//! The generics of the generated server: what its handler's type mentions, and no more.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{GenericParam, Generics, Type, WherePredicate};

/// Tells whether a `'_` stands in the type.
pub(super) fn hides_a_lifetime(ty: &Type) -> bool {
    let mut hides = false;
    replace(ty.to_token_stream(), &mut |token| {
        hides |= is_word(token, "_");
        None
    });
    hides
}

/// Returns the type with `'static` for every `'_`, which has been reported.
pub(super) fn named_lifetimes(ty: &Type) -> Type {
    if !hides_a_lifetime(ty) {
        return ty.clone();
    }
    let tokens = replace(ty.to_token_stream(), &mut |token| {
        is_word(token, "_").then(|| Ident::new("static", token.span()).into_token_stream())
    });
    syn::parse2(tokens).unwrap_or_else(|_| ty.clone())
}

/// Copies the generics, without what the type does not mention (E0091, E0392) and without `Self`.
pub(super) fn of_server(generics: &Generics, ty: &Type) -> Generics {
    let dropped: Vec<_> = generics
        .params
        .iter()
        .map(name)
        .filter(|name| !mentions(ty, std::slice::from_ref(name)))
        .collect();
    let mut kept = generics.clone();
    kept.params = generics
        .params
        .iter()
        .filter(|param| !dropped.contains(&name(param)))
        .cloned()
        .collect();
    for param in &mut kept.params {
        if let GenericParam::Type(param) = param {
            param.bounds = std::mem::take(&mut param.bounds)
                .into_iter()
                .filter(|bound| !mentions(bound, &dropped))
                .collect();
        }
    }
    if let Some(clause) = &mut kept.where_clause {
        let predicates = std::mem::take(&mut clause.predicates).into_iter();
        let kept = predicates.filter(|predicate| !mentions(predicate, &dropped));
        clause.predicates = kept
            .filter_map(|predicate| {
                syn::parse2::<WherePredicate>(without_self(predicate.to_token_stream(), ty)).ok()
            })
            .collect();
    }
    kept
}

fn name(param: &GenericParam) -> Ident {
    match param {
        GenericParam::Lifetime(param) => param.lifetime.ident.clone(),
        GenericParam::Type(param) => param.ident.clone(),
        GenericParam::Const(param) => param.ident.clone(),
    }
}

fn mentions(tokens: impl ToTokens, names: &[Ident]) -> bool {
    let mut mentions = false;
    replace(tokens.to_token_stream(), &mut |token| {
        mentions |= matches!(token, TokenTree::Ident(word) if names.contains(word));
        None
    });
    mentions
}

/// In the server's own bounds `Self` would be the server.
fn without_self(tokens: TokenStream, ty: &Type) -> TokenStream {
    replace(tokens, &mut |token| {
        is_word(token, "Self").then(|| ty.to_token_stream())
    })
}

fn is_word(token: &TokenTree, word: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == word)
}

/// Replaces single tokens, in groups too.
fn replace(
    tokens: TokenStream,
    with: &mut impl FnMut(&TokenTree) -> Option<TokenStream>,
) -> TokenStream {
    let mut replaced = TokenStream::new();
    for token in tokens {
        if let Some(new) = with(&token) {
            replaced.extend(new);
            continue;
        }
        replaced.extend([match token {
            TokenTree::Group(group) => {
                let span: Span = group.span();
                let mut inner = Group::new(group.delimiter(), replace(group.stream(), with));
                inner.set_span(span);
                TokenTree::Group(inner)
            }
            token => token,
        }]);
    }
    replaced
}

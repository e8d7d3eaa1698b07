//! The types of an interface file, and their way in and out of bytes.

use proc_macro2::{Literal, Span, TokenStream};
use quote::quote;

use super::{camel, ident};
use crate::rpc::interface::{Body, Constant, Definition, Switch, Type, Union};
use crate::rpc::names;

/// Where the runtime is, and where the types are.
pub(super) struct Types {
    pub(super) private: TokenStream,
    /// `calculator::`, or nothing inside the module.
    prefix: TokenStream,
}

impl Types {
    pub(super) fn new(private: TokenStream, prefix: TokenStream) -> Self {
        Self { private, prefix }
    }

    // ::std::vec::Vec<Item>
    pub(super) fn ty(&self, ty: &Type) -> TokenStream {
        let (private, prefix) = (&self.private, &self.prefix);
        match ty {
            Type::Void => quote!(()),
            Type::Plain(plain) => {
                let name = ident(plain.rust(), Span::call_site());
                quote!(::core::primitive::#name)
            }
            Type::String(_) => quote!(::std::string::String),
            Type::Opaque(_) => quote!(#private::Bytes),
            Type::OpaqueFixed(length) => {
                let length = Literal::u32_unsuffixed(*length);
                quote!([::core::primitive::u8; #length])
            }
            Type::Array(ty, _) => {
                let ty = self.ty(ty);
                quote!(::std::vec::Vec<#ty>)
            }
            Type::ArrayFixed(ty, length) => {
                let (ty, length) = (self.ty(ty), Literal::u32_unsuffixed(*length));
                quote!([#ty; #length])
            }
            Type::Optional { ty, is_boxed } => {
                let ty = self.ty(ty);
                if *is_boxed {
                    quote!(::core::option::Option<::std::boxed::Box<#ty>>)
                } else {
                    quote!(::core::option::Option<#ty>)
                }
            }
            Type::Named(name) | Type::Alias(name, _) => {
                let name = camel(name);
                quote!(#prefix #name)
            }
        }
    }

    // input.array(10, |input| <i32 as Xdr>::decode(input)): takes one from `input`
    pub(super) fn decode(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Void => quote!(::core::result::Result::Ok(())),
            Type::String(max) => quote!(input.string(#max)),
            Type::Opaque(max) => quote!(input.opaque(#max)),
            Type::OpaqueFixed(length) => {
                let length = Literal::u32_unsuffixed(*length);
                quote!(input.opaque_fixed::<#length>())
            }
            Type::Array(ty, max) => {
                let decode = self.decode(ty);
                quote!(input.array(#max, |input| #decode))
            }
            Type::ArrayFixed(ty, length) => {
                let (decode, length) = (self.decode(ty), Literal::u32_unsuffixed(*length));
                quote!(input.array_fixed::<_, #length>(|input| #decode))
            }
            Type::Optional { ty, is_boxed } => {
                let decode = self.decode(ty);
                let boxed = is_boxed.then(|| quote!(.map(::std::boxed::Box::new)));
                quote!(input.optional(|input| #decode #boxed))
            }
            Type::Plain(_) | Type::Named(_) => {
                let (private, ty) = (&self.private, self.ty(ty));
                quote!(<#ty as #private::Xdr>::decode(input))
            }
            Type::Alias(_, ty) => self.decode(ty),
        }
    }

    // output.array(value, 10, |value, output| Xdr::encode(value, output)): appends what `value` refers to to `output`
    pub(super) fn encode(&self, ty: &Type) -> TokenStream {
        match ty {
            Type::Void => {
                let private = &self.private;
                quote!(::core::result::Result::<(), #private::XdrError>::Ok(()))
            }
            Type::String(max) => quote!(output.string(value, #max)),
            Type::Opaque(max) => quote!(output.opaque(value, #max)),
            Type::OpaqueFixed(_) => quote!(output.opaque_fixed(value)),
            Type::Array(ty, max) => {
                let encode = self.encode(ty);
                quote!(output.array(value, #max, |value, output| #encode))
            }
            Type::ArrayFixed(ty, _) => {
                let encode = self.encode(ty);
                quote!(output.array_fixed(value, |value, output| #encode))
            }
            Type::Optional { ty, is_boxed } => {
                let encode = self.encode(ty);
                let unboxed = is_boxed.then(|| quote!(let value = &**value;));
                quote!(output.optional(value.as_ref(), |value, output| { #unboxed #encode }))
            }
            Type::Plain(_) | Type::Named(_) => {
                let private = &self.private;
                quote!(#private::Xdr::encode(value, output))
            }
            Type::Alias(_, ty) => self.encode(ty),
        }
    }

    // pub const MAX_ITEMS: u32 = 10;
    pub(super) fn constant(&self, constant: &Constant) -> TokenStream {
        let name = ident(&names::constant(&constant.name), Span::call_site());
        let value = constant.value;
        let (ty, value) = if let Ok(value) = u32::try_from(value) {
            ("u32", Literal::u32_unsuffixed(value))
        } else if let Ok(value) = i32::try_from(value) {
            ("i32", Literal::i32_unsuffixed(value))
        } else if let Ok(value) = i64::try_from(value) {
            ("i64", Literal::i64_unsuffixed(value))
        } else {
            ("i128", Literal::i128_unsuffixed(value))
        };
        let ty = ident(ty, Span::call_site());
        let doc = format!("`const {}`.", constant.name);
        quote! {
            #[doc = #doc]
            #[allow(non_upper_case_globals)]
            pub const #name: ::core::primitive::#ty = #value;
        }
    }

    // pub struct Operands { pub a: i32, pub b: i32 } impl Xdr for Operands { ... }
    pub(super) fn definition(&self, definition: &Definition) -> TokenStream {
        let name = &definition.name;
        match &definition.body {
            Body::Alias(ty) => {
                let (doc, name, ty) = (format!("`typedef {name}`."), camel(name), self.ty(ty));
                quote!(#[doc = #doc] pub type #name = #ty;)
            }
            Body::Enum(variants) => self.enumeration(name, variants),
            Body::Struct(fields) => self.structure(name, fields),
            Body::Union(union) => self.union(name, union),
        }
    }

    // impl Xdr for Operands { fn decode(input: &mut Input) -> Result<Self, XdrError> { ... } fn encode ... }
    fn xdr(&self, name: &str, decode: &TokenStream, encode: &TokenStream) -> TokenStream {
        let (private, name) = (&self.private, camel(name));
        quote! {
            #[automatically_derived]
            impl #private::Xdr for #name {
                fn decode(input: &mut #private::Input) -> ::core::result::Result<Self, #private::XdrError> { #decode }
                fn encode(&self, output: &mut #private::Output) -> ::core::result::Result<(), #private::XdrError> { #encode }
            }
        }
    }

    // pub enum Op { Add = 0, Subtract = 1 }
    fn enumeration(&self, name: &str, variants: &[(String, i32)]) -> TokenStream {
        let private = &self.private;
        let (doc, ty) = (format!("`enum {name}`."), camel(name));
        let names: Vec<_> = variants
            .iter()
            .map(|one| ident(&one.0, Span::call_site()))
            .collect();
        let docs = variants.iter().map(|one| format!("The value {}.", one.1));
        let values: Vec<_> = variants
            .iter()
            .map(|one| Literal::i32_unsuffixed(one.1))
            .collect();
        let decode = quote! {
            match <::core::primitive::i32 as #private::Xdr>::decode(input)? {
                #(#values => ::core::result::Result::Ok(Self::#names),)*
                other => ::core::result::Result::Err(#private::XdrError::UnknownValue(::core::convert::From::from(other))),
            }
        };
        let encode = quote!(#private::Xdr::encode(&(*self as ::core::primitive::i32), output));
        let xdr = self.xdr(name, &decode, &encode);
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::marker::Copy, ::core::fmt::Debug, ::core::cmp::PartialEq, ::core::cmp::Eq, ::core::hash::Hash)]
            #[repr(i32)]
            pub enum #ty { #(#[doc = #docs] #names = #values),* }
            #xdr
        }
    }

    fn structure(&self, name: &str, fields: &[(String, Type)]) -> TokenStream {
        let (doc, ty) = (format!("`struct {name}`."), camel(name));
        let docs = fields.iter().map(|one| format!("`{}`.", one.0));
        let names: Vec<_> = fields
            .iter()
            .map(|one| ident(&one.0, Span::call_site()))
            .collect();
        let types = fields.iter().map(|one| self.ty(&one.1));
        let decodes = fields.iter().map(|one| self.decode(&one.1));
        let encodes = fields.iter().map(|one| self.encode(&one.1));
        let decode = quote!(::core::result::Result::Ok(Self { #(#names: #decodes?),* }));
        let encode =
            quote!(#({ let value = &self.#names; #encodes?; })* ::core::result::Result::Ok(()));
        let xdr = self.xdr(name, &decode, &encode);
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            pub struct #ty { #(#[doc = #docs] pub #names: #types),* }
            #xdr
        }
    }

    // pub enum Outcome { Good(i32), Bad, Other(i32) }
    fn union(&self, name: &str, union: &Union) -> TokenStream {
        let (doc, ty) = (format!("`union {name}`."), camel(name));
        let variants = union.variants.iter().map(|one| {
            let (doc, name) = (
                format!("The case {}.", one.value),
                ident(&one.name, Span::call_site()),
            );
            let value = (one.ty != Type::Void)
                .then(|| self.ty(&one.ty))
                .map(|ty| quote!((#ty)));
            quote!(#[doc = #doc] #name #value)
        });
        let switch = switch(union.switch);
        let other = union.default.iter().map(|ty| {
            let value = (*ty != Type::Void)
                .then(|| self.ty(ty))
                .map(|ty| quote!(, #ty));
            quote!(#[doc = "Any other case: its number, and what it has."] Other(#switch #value))
        });
        let (decode, encode) = (self.decode_union(union), self.encode_union(union));
        let xdr = self.xdr(name, &decode, &encode);
        quote! {
            #[doc = #doc]
            #[derive(::core::clone::Clone, ::core::fmt::Debug, ::core::cmp::PartialEq)]
            pub enum #ty { #(#variants,)* #(#other)* }
            #xdr
        }
    }

    // match i32::decode(input)? { 0 => Ok(Self::Good(i32::decode(input)?)), 1 => Ok(Self::Bad), ... }
    fn decode_union(&self, union: &Union) -> TokenStream {
        let (private, switch) = (&self.private, switch(union.switch));
        let arms = union.variants.iter().map(|one| {
            let (number, name) = (
                Literal::i64_unsuffixed(one.value),
                ident(&one.name, Span::call_site()),
            );
            let decode = self.decode(&one.ty);
            let value = (one.ty != Type::Void).then(|| quote!((#decode?)));
            quote!(#number => ::core::result::Result::Ok(Self::#name #value),)
        });
        let other = match &union.default {
            None => {
                quote!(::core::result::Result::Err(#private::XdrError::UnknownValue(::core::convert::From::from(other))))
            }
            Some(Type::Void) => quote!(::core::result::Result::Ok(Self::Other(other))),
            Some(ty) => {
                let decode = self.decode(ty);
                quote!(::core::result::Result::Ok(Self::Other(other, #decode?)))
            }
        };
        quote! {
            match <#switch as #private::Xdr>::decode(input)? {
                #(#arms)*
                other => #other,
            }
        }
    }

    // match self { Self::Good(value) => { Xdr::encode(&0, output)?; Xdr::encode(value, output) } ... }
    fn encode_union(&self, union: &Union) -> TokenStream {
        let (private, switch) = (&self.private, switch(union.switch));
        let arms = union.variants.iter().map(|one| {
            let (number, name) = (Literal::i64_unsuffixed(one.value), ident(&one.name, Span::call_site()));
            let encode = self.encode(&one.ty);
            let value = (one.ty != Type::Void).then(|| quote!((value)));
            quote!(Self::#name #value => { <#switch as #private::Xdr>::encode(&#number, output)?; #encode })
        });
        let numbers = || {
            union
                .variants
                .iter()
                .map(|one| Literal::i64_unsuffixed(one.value))
        };
        let other = union.default.iter().map(|ty| {
            let encode = self.encode(ty);
            let value = (*ty != Type::Void).then(|| quote!(, value));
            let numbers = numbers();
            quote! {
                // Another variant's number.
                Self::Other(number @ (#(#numbers)|*), ..) => ::core::result::Result::Err(#private::XdrError::UnknownValue(::core::convert::From::from(*number))),
                Self::Other(number #value) => { #private::Xdr::encode(number, output)?; #encode }
            }
        });
        quote!(match self { #(#arms)* #(#other)* })
    }
}

fn switch(switch: Switch) -> TokenStream {
    match switch {
        Switch::Int => quote!(::core::primitive::i32),
        Switch::UnsignedInt => quote!(::core::primitive::u32),
    }
}

//! The server that the user names: a struct with one field, its calls, and what it can be used as.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;

use super::{command_line, commands, private};
use crate::options::Model;
use crate::plan::{ChosenModel, Plan};

/// The struct and everything that is implemented for it.
pub(super) fn server(plan: &Plan<'_>) -> TokenStream {
    [
        structure(plan),
        calls(plan),
        conversions(plan),
        descriptors(plan),
    ]
    .into_iter()
    .collect()
}

// pub struct EchoServer { server: ::sockserv::__private::Server<Echo> }
fn structure(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        name,
        vis,
        ty,
        server_generics,
        ..
    } = plan;
    let private = private(plan, Span::call_site());
    let where_clause = bounds(plan, server_generics);
    let doc = format!(
        "The server that `#[server]` makes of `{}`.",
        crate::plan::prose(ty)
    );
    let commands = commands::documentation(plan.messages.as_ref());
    quote! {
        #[doc = #doc]
        #commands
        #vis struct #name #server_generics #where_clause {
            server: #private::Server<#ty>,
        }
    }
}

// where S: Store, Session<S>: Declaration
fn bounds(plan: &Plan<'_>, generics: &syn::Generics) -> TokenStream {
    if plan.generics.params.is_empty() {
        let clause = &generics.where_clause;
        return quote!(#clause);
    }
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    let predicates = generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates);
    quote!(where #(#predicates,)* #ty: #private::Declaration)
}

// impl EchoServer { pub fn bind(handler: Echo) -> ::std::io::Result<Self> { ... } ... }
fn calls(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        name,
        ty,
        generics,
        server_generics,
        ..
    } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, _) = generics.split_for_impl();
    let (_, arguments, _) = server_generics.split_for_impl();
    let where_clause = bounds(plan, generics);
    let (bind, spawn) = (bind(plan), spawn(plan));
    let from_args = command_line::from_args(plan);
    quote! {
        #[automatically_derived]
        impl #impl_generics #name #arguments #where_clause {
            #bind
            /// Binds and activates somewhere else than the attribute says.
            pub fn bind_to<__SockservAt>(at: __SockservAt, handler: #ty) -> ::std::io::Result<Self>
            where
                __SockservAt: ::core::convert::TryInto<#private::Endpoint>,
                __SockservAt::Error: ::core::convert::Into<::std::boxed::Box<dyn ::core::error::Error + ::core::marker::Send + ::core::marker::Sync>>,
            {
                #private::Server::bind_to(at, handler).map(<Self as ::core::convert::From<_>>::from)
            }
            /// Starts from the attribute's options, for values known at run time.
            pub fn builder(handler: #ty) -> #private::Builder<#ty, Self> {
                #private::Builder::new(handler)
            }
            /// Serves until a signal or a shutdown, announcing each listener.
            pub fn run(self) -> ::std::io::Result<()> {
                self.server.run()
            }
            #spawn
            #from_args
        }
    }
}

// pub fn bind(handler: Echo) -> ::std::io::Result<Self> { ... }
fn bind(plan: &Plan<'_>) -> TokenStream {
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    if plan.knows_where {
        return quote! {
            /// Binds and activates at the attribute's addresses, or takes the sockets that systemd handed over.
            pub fn bind(handler: #ty) -> ::std::io::Result<Self> {
                #private::Server::bind(handler).map(<Self as ::core::convert::From<_>>::from)
            }
        };
    }
    quote! {
        #[doc(hidden)]
        pub fn bind<__SockservHandler: #private::NoAddr>(_: __SockservHandler) -> ::std::io::Result<Self> {
            ::core::result::Result::Err(<::std::io::Error as ::core::convert::From<_>>::from(::std::io::ErrorKind::AddrNotAvailable))
        }
    }
}

// pub fn spawn(self) -> ::std::io::Result<Running> { self.server.spawn() }; under `forking`: where Forking: Spawnable
fn spawn(plan: &Plan<'_>) -> TokenStream {
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    if let Some(model) = forks_unpromised(plan) {
        let model = Ident::new(model.type_name(false), Span::call_site());
        return quote! {
            #[doc(hidden)]
            pub fn spawn(self) -> ::std::io::Result<#private::Running>
            where
                for<'__sockserv> #private::#model: #private::Spawnable,
            {
                ::core::result::Result::Err(<::std::io::Error as ::core::convert::From<_>>::from(::std::io::ErrorKind::Unsupported))
            }
        };
    }
    let model = spawned_model(plan);
    quote! {
        /// Serves in a background thread.
        pub fn spawn(self) -> ::std::io::Result<#private::Running>
        where
            for<'__sockserv> #ty: ::core::marker::Send + 'static,
            #model
        {
            self.server.spawn()
        }
    }
}

/// Returns the model that forks and was not promised that other threads do no harm.
fn forks_unpromised(plan: &Plan<'_>) -> Option<Model> {
    match plan.model {
        ChosenModel::Built(model, _) if model.forks() && plan.promise.is_none() => Some(model),
        _ => None,
    }
}

// for<'__sockserv> MyModel: Send + 'static
fn spawned_model(plan: &Plan<'_>) -> TokenStream {
    let (private, ty) = (private(plan, Span::call_site()), &plan.ty);
    match &plan.model {
        _ if !plan.generics.params.is_empty() => {
            quote!(for<'__sockserv> <#ty as #private::Declaration>::Model: ::core::marker::Send + 'static,)
        }
        ChosenModel::Own(model) => quote!(for<'__sockserv> #model: ::core::marker::Send + 'static,),
        _ => TokenStream::new(),
    }
}

// impl From<Server<Echo>> for EchoServer, Deref, DerefMut, Serve, Debug
fn conversions(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        name,
        ty,
        generics,
        server_generics,
        ..
    } = plan;
    let private = private(plan, Span::call_site());
    let (impl_generics, _, _) = generics.split_for_impl();
    let (_, arguments, _) = server_generics.split_for_impl();
    let where_clause = bounds(plan, generics);
    // A type that is less visible than the server is reported at `vis`.
    let span = if plan.vis_is_written {
        plan.vis.span()
    } else {
        Span::call_site()
    };
    let target = quote_spanned!(span=> type Target = #private::Server<#ty>;);
    let server = quote_spanned!(span=> type Server = #private::Server<#ty>;);
    quote! {
        #[automatically_derived]
        impl #impl_generics ::core::convert::From<#private::Server<#ty>> for #name #arguments #where_clause {
            fn from(server: #private::Server<#ty>) -> Self { Self { server } }
        }
        #[automatically_derived]
        impl #impl_generics ::core::ops::Deref for #name #arguments #where_clause {
            #target
            fn deref(&self) -> &#private::Server<#ty> { &self.server }
        }
        #[automatically_derived]
        impl #impl_generics ::core::ops::DerefMut for #name #arguments #where_clause {
            fn deref_mut(&mut self) -> &mut #private::Server<#ty> { &mut self.server }
        }
        #[automatically_derived]
        impl #impl_generics #private::Serve for #name #arguments #where_clause {
            #server
            fn into_server(self) -> #private::Server<#ty> { self.server }
        }
        #[automatically_derived]
        impl #impl_generics ::core::fmt::Debug for #name #arguments #where_clause {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result { ::core::fmt::Debug::fmt(&self.server, f) }
        }
    }
}

// impl AsFd for EchoServer, AsRawFd
fn descriptors(plan: &Plan<'_>) -> TokenStream {
    let Plan {
        name,
        generics,
        server_generics,
        ..
    } = plan;
    let (impl_generics, _, _) = generics.split_for_impl();
    let (_, arguments, _) = server_generics.split_for_impl();
    let where_clause = bounds(plan, generics);
    quote! {
        #[automatically_derived]
        impl #impl_generics ::std::os::fd::AsFd for #name #arguments #where_clause {
            fn as_fd(&self) -> ::std::os::fd::BorrowedFd<'_> { ::std::os::fd::AsFd::as_fd(&self.server) }
        }
        #[automatically_derived]
        impl #impl_generics ::std::os::fd::AsRawFd for #name #arguments #where_clause {
            fn as_raw_fd(&self) -> ::std::os::fd::RawFd { ::std::os::fd::AsRawFd::as_raw_fd(&self.server) }
        }
    }
}

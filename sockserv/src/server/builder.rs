//! [`Builder`]: every option of the attribute again, for values that are known only at run time.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use bytes::Bytes;

use crate::listener::Listener;
use crate::listener::intake::{Foreign, Intake};
use crate::observer::Observer;
use crate::options::{Accept, IntoEndpoints, IntoNetworks, OnFull, Options, for_each_option};
use crate::server::Server;
use crate::server::declare::{Declaration, Transport};

/// Makes a server `S` of a handler, with other options than the attribute's.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use sockserv::prelude::*;
///
/// #[derive(Clone)]
/// struct Echo;
///
/// #[server(tcp, threading)]
/// impl Echo {
///     fn handle(&mut self, stream: &mut Stream) -> io::Result<()> {
///         io::copy(&mut stream.rfile, &mut stream.wfile).map(drop)
///     }
/// }
///
/// let server = EchoServer::builder(Echo).addr("127.0.0.1:0").timeout(Duration::from_secs(5)).bind()?;
/// assert_ne!(server.local_addr().port(), Some(0));
/// # Ok::<(), io::Error>(())
/// ```
pub struct Builder<H: Declaration, S = Server<H>> {
    handler: H,
    pub(crate) options: Options,
    listener: Option<Box<dyn Intake + Send>>,
    model: Option<H::Model>,
    server: PhantomData<fn() -> S>,
}

impl<H: Declaration, S> Builder<H, S> {
    /// Begins with what the attribute says.
    #[must_use]
    pub fn new(handler: H) -> Self {
        Self {
            handler,
            options: H::options(),
            listener: None,
            model: None,
            server: PhantomData,
        }
    }

    /// Adds endpoints to listen on. The first call replaces those of the attribute, and keeps the server from taking what
    /// systemd handed over.
    #[must_use]
    pub fn addr(mut self, at: impl IntoEndpoints) -> Self {
        if !self.options.explicit {
            self.options.explicit = true;
            self.options.endpoints.clear();
        }
        self.options = self.options.addr(at);
        self
    }

    /// As [`addr`](Self::addr), for each of them; none at all changes nothing. Meant for a program's arguments.
    #[must_use]
    pub fn addrs<A: IntoEndpoints>(self, at: impl IntoIterator<Item = A>) -> Self {
        at.into_iter().fold(self, Self::addr)
    }

    /// Adds networks whose peers are served, to those of the attribute and of other calls: a list for this machine need not
    /// repeat the program's. [`ServerHandle::set_allow`] replaces the list.
    ///
    /// [`ServerHandle::set_allow`]: crate::ServerHandle::set_allow
    ///
    /// # Examples
    ///
    /// ```
    /// # use sockserv::prelude::*;
    /// # #[derive(Clone)] struct Echo;
    /// # #[server(tcp, threading, addr = "127.0.0.1:0")] impl Echo { fn handle(&mut self, _: &mut Stream) {} }
    /// let office: sockserv::Network = "192.0.2.0/24".parse()?;
    /// let server = EchoServer::builder(Echo).allow("10.0.0.0/8").allow([office]).deny("10.6.6.0/24").bind()?;
    /// assert_eq!(server.handle().allow().len(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn allow(mut self, networks: impl IntoNetworks) -> Self {
        self.options = self.options.allow(networks);
        self
    }

    /// Adds networks whose peers are refused, to those of the attribute and of other calls: see [`allow`](Self::allow).
    #[must_use]
    pub fn deny(mut self, networks: impl IntoNetworks) -> Self {
        self.options = self.options.deny(networks);
        self
    }

    /// Takes requests from this own listener (`listener = ...` in the attribute). It knows where it listens: an address of
    /// [`addr`](Self::addr) or `bind_to` beside it is an error.
    #[must_use]
    pub fn listener(mut self, listener: impl Listener + Send) -> Self {
        self.listener = Some(Box::new(Foreign::new(listener)));
        self
    }

    /// Tells this observer what happens, after those that were added before (`observer = ...` in the attribute).
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.options = self.options.observer(observer);
        self
    }

    /// Has the operator's endpoint listen there (`admin = ...` in the attribute): see [`admin`](mod@crate::admin).
    #[cfg(feature = "admin")]
    #[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
    #[must_use]
    pub fn admin(mut self, at: impl IntoEndpoints) -> Self {
        self.options = self.options.admin(at);
        self
    }

    /// Has the operator's endpoint listen there, where other machines may reach it (`admin_public = ...` in the attribute):
    /// it answers everybody who connects.
    #[cfg(feature = "admin")]
    #[cfg_attr(docsrs, doc(cfg(feature = "admin")))]
    #[must_use]
    pub fn admin_public(mut self, at: impl IntoEndpoints) -> Self {
        self.options = self.options.admin_public(at);
        self
    }

    /// Runs requests by this value of the model, in place of its default.
    #[must_use]
    pub fn model(mut self, model: H::Model) -> Self {
        self.model = Some(model);
        self
    }

    /// Binds and activates.
    ///
    /// # Errors
    ///
    /// What keeps it from listening, with the address in the text.
    pub fn bind(self) -> io::Result<S>
    where
        S: From<Server<H>>,
    {
        let mut server = self.open()?;
        server.activate()?;
        Ok(S::from(server))
    }

    /// Binds without listening yet: [`Server::activate`] does, or serving.
    ///
    /// # Errors
    ///
    /// What keeps it from binding, with the address in the text.
    pub fn bind_unactivated(self) -> io::Result<S>
    where
        S: From<Server<H>>,
    {
        self.open().map(S::from)
    }

    fn open(self) -> io::Result<Server<H>> {
        let missing = |what| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{what}; give the builder one"),
            )
        };
        let model = self.model.or_else(H::model);
        let model = model.ok_or_else(|| missing("this server's model has no default value"))?;
        let own = self.listener.or_else(|| H::listener().map(|own| own.0));
        if own.is_none() && <H::Transport as Transport<H>>::KINDS.is_empty() {
            return Err(missing("this server's listener has no default value"));
        }
        if own.is_some() && self.options.explicit {
            no_address(&self.options)?;
        }
        Server::open(self.handler, model, self.options, own)
    }
}

/// An own listener listens wherever it listens.
fn no_address(options: &Options) -> io::Result<()> {
    let Some(at) = options.endpoints.first() else {
        return Ok(());
    };
    let at = at.as_ref().map_err(Clone::clone)?;
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("this server's listener knows where it listens; leave out `{at}`"),
    ))
}

macro_rules! delegates {
    ($($(#[$doc:meta])* $kind:ident $name:ident: $ty:ty;)*) => {
        impl<H: Declaration, S> Builder<H, S> {
            $(delegates!(@ $(#[$doc])* $kind $name: $ty);)*
        }
    };
    (@ $(#[$doc:meta])* given $name:ident: $ty:ty) => {
        delegates!(@ $(#[$doc])* plain $name: $ty);
    };
    (@ $(#[$doc:meta])* count $name:ident: $ty:ty) => {
        delegates!(@ $(#[$doc])* plain $name: $ty);
    };
    (@ $(#[$doc:meta])* plain $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $ty) -> Self {
            self.options = self.options.$name($name);
            self
        }
    };
    (@ $(#[$doc:meta])* optional $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: impl Into<Option<$ty>>) -> Self {
            self.options = self.options.$name($name);
            self
        }
    };
    (@ $(#[$doc:meta])* text $name:ident: $ty:ty) => {
        delegates!(@ $(#[$doc])* into $name: $ty);
    };
    (@ $(#[$doc:meta])* into $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: impl Into<$ty>) -> Self {
            self.options = self.options.$name($name);
            self
        }
    };
}
for_each_option!(delegates);

impl<H: Declaration, S> fmt::Debug for Builder<H, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

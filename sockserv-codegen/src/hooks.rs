//! The methods that a server calls, by their names, and how a hook is written.

/// What a request lives through.
pub(crate) const LIFE: [&str; 3] = ["setup", "handle", "finish"];

/// Points in a server's life where it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hook {
    VerifyRequest,
    HandleError,
    HandleTimeout,
    ServiceActions,
    ServerBind,
    ServerActivate,
    WorkerStart,
}

impl Hook {
    pub(crate) const ALL: [Self; 7] = [
        Self::VerifyRequest,
        Self::HandleError,
        Self::HandleTimeout,
        Self::ServiceActions,
        Self::ServerBind,
        Self::ServerActivate,
        Self::WorkerStart,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VerifyRequest => "verify_request",
            Self::HandleError => "handle_error",
            Self::HandleTimeout => "handle_timeout",
            Self::ServiceActions => "service_actions",
            Self::ServerBind => "server_bind",
            Self::ServerActivate => "server_activate",
            Self::WorkerStart => "worker_start",
        }
    }

    /// Returns what to write.
    pub(crate) fn signature(self) -> &'static str {
        match self {
            Self::VerifyRequest => "fn verify_request(&self, peer: &Address) -> bool",
            Self::HandleError => "fn handle_error(&mut self, error: &RequestError, peer: &Address)",
            Self::HandleTimeout => "fn handle_timeout(&self)",
            Self::ServiceActions => "fn service_actions(&self)",
            Self::ServerBind => "fn server_bind(&self, socket: &socket2::Socket) -> io::Result<()>",
            Self::ServerActivate => {
                "fn server_activate(&self, socket: &socket2::Socket) -> io::Result<()>"
            }
            Self::WorkerStart => "fn worker_start(&mut self, worker: usize) -> io::Result<()>",
        }
    }

    /// Tells whether that many parameters behind `self` can be served.
    pub(crate) fn takes(self, parameters: usize) -> bool {
        match self {
            Self::VerifyRequest => parameters == 1 || parameters == 2,
            Self::HandleError => parameters == 2,
            Self::HandleTimeout | Self::ServiceActions => parameters == 0,
            Self::ServerBind | Self::ServerActivate | Self::WorkerStart => parameters == 1,
        }
    }

    /// Tells whether it runs on a value that nobody else uses meanwhile.
    pub(crate) fn may_change_its_handler(self) -> bool {
        match self {
            Self::HandleError | Self::WorkerStart => true,
            Self::VerifyRequest
            | Self::HandleTimeout
            | Self::ServiceActions
            | Self::ServerBind
            | Self::ServerActivate => false,
        }
    }
}

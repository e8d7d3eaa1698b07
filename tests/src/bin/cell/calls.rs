//! What a caller may ask of procedures, one call a message.

/// The message handler of a cell whose messages are calls.
macro_rules! callee {
    ($kind:ident, $transport:ident, $model:ident) => {
        use sockserv::rpc::Call;
        use sockserv_tests::{PROGRAM, VERSION};

        #[derive(Clone)]
        pub(crate) struct Procedures(pub(crate) State);

        #[server($transport, $model, vis = pub(crate), rpc(program = PROGRAM, version = VERSION))]
        impl Procedures {
            fn setup(&mut self, request: &mut $kind) {
                self.0.used = true;
                crate::state::step("setup", request.peer_addr());
            }

            #[procedure(1)]
            fn echo(&mut self, text: String) -> String {
                text
            }

            #[procedure(2)]
            fn fail(&mut self, how: &str) -> Outcome {
                messages::fail(how)
            }

            #[procedure(3)]
            fn finish_fails(&mut self, how: &str) {
                self.0.finish = Failure::named(how);
            }

            #[procedure(4)]
            fn gate(&mut self, path: &str, call: &Call) -> io::Result<()> {
                messages::gate(path, call.peer_addr())
            }

            fn finish(&mut self, request: &mut $kind) -> Outcome {
                crate::state::Scenario::finish(request, &mut self.0)
            }

            fn handle_error(&mut self, error: &RequestError, peer: &Address) {
                self.0.handle_error(error, peer);
            }
        }
    };
}
pub(crate) use callee;

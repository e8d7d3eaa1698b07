mod echo {
    use sockserv::prelude::*;

    #[derive(Clone)]
    #[server(tcp, vis = pub)]
    struct Echo;

    impl StreamHandler for Echo {
        fn handle(&mut self, _stream: &mut Stream) -> Outcome {
            let _this: &Echo = &Echo;
            Ok(())
        }
    }
}

fn main() {}

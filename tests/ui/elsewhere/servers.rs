use sockserv::prelude::*;

#[derive(Clone)]
struct Echo;

#[server(
    tcp,
    ThreadPoolMixIn,
    ThreadPoolExecutor,
    thread_pool,
    threadpool,
    pooled,
    PreforkMixIn,
    pre_fork,
    preforking,
    num_workers = 1,
    max_workers = 1,
    num_threads = 1,
    worker_threads = 1,
    queue_size = 1,
    processes = 1,
    worker_processes = 1,
    preload,
    max_requests_jitter = 1,
    max_requests_per_child = 1,
    maxtasksperchild = 1,
    max_clients = 1,
    worker_connections = 1,
    max_connections_per_ip = 1,
    rate_limit = 1,
    whitelist = 1,
    blacklist = 1,
    idle_timeout = 1,
    read_timeout = 1,
    write_timeout = 1,
    min_data_rate = 1,
    drain_timeout = 1,
    graceful_timeout = 1,
    user = 1,
    uid = 1,
    gid = 1,
    accesslog = 1,
)]
impl Echo {
    fn handle(&mut self, _stream: &mut Stream) {}
}

fn main() {}

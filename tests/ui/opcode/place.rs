use sockserv::prelude::*;

#[derive(Clone)]
struct First;

#[server(tcp, lines, opcode = u8)]
impl First {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Second;

#[server(tcp, lines, opcode(u24))]
impl Second {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Third;

#[server(tcp, lines, opcode)]
impl Third {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Fourth;

#[server(tcp, lines, opcode(u8, at = 2, at = 3))]
impl Fourth {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Fifth;

#[server(tcp, lines, opcode(u8, offset = 2))]
impl Fifth {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Sixth;

#[server(tcp, lines, opcode(u8, at = "two"))]
impl Sixth {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

#[derive(Clone)]
struct Seventh;

#[server(tcp, lines, opcode(u8, at = 70000))]
impl Seventh {
    #[opcode(0x01)]
    fn get(&mut self, payload: Bytes) -> Bytes {
        payload
    }
}

fn main() {}

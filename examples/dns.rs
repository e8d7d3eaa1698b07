//! An authoritative name server for one small zone, over udp and tcp (RFC 1035, 2308, 6891, 7766).
//! Run:  `cargo run --example dns`
//! Talk: `dig -p 5300 @127.0.0.1 www.sockserv.test`, or with `big.sockserv.test TXT`, which needs tcp
//! See:  two addresses in dig's answer section; for `big`, dig says `Truncated, retrying in TCP mode`

use std::sync::Arc;

use simple_dns::rdata::{A, AAAA, NS, OPT, RData, SOA, TXT};
use simple_dns::{
    CLASS, CharacterString, Name, OPCODE, Packet, PacketFlag, RCODE, ResourceRecord,
    SimpleDnsError, header_buffer,
};
use sockserv::codec::{LengthPrefixed, Width};
use sockserv::prelude::*;

#[server(udp, tcp, threading, addr = "127.0.0.1:5300", timeout = "10s")]
#[derive(Clone)]
struct Dns {
    zone: Arc<Zone>,
}

impl DatagramHandler for Dns {
    fn handle(&mut self, datagram: &mut Datagram) -> Outcome {
        if let Some(reply) = self.zone.reply(datagram.packet(), Carrier::Datagram)? {
            datagram.wfile.write_all(&reply)?;
        }
        Ok(())
    }
}

impl StreamHandler for Dns {
    /// Any number of messages, each after its length in two bytes.
    fn handle(&mut self, stream: &mut Stream) -> Outcome {
        let mut messages = stream.framed(LengthPrefixed::new(Width::U16Be, u16::MAX.into()));
        while let Some(query) = messages.next()? {
            if let Some(reply) = self.zone.reply(&query, Carrier::Stream)? {
                messages.send(reply)?;
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum Carrier {
    Datagram,
    Stream,
}

impl Carrier {
    /// The longest message that the peer can take.
    fn limit(self, edns: Option<&OPT>) -> usize {
        match self {
            Carrier::Datagram => edns.map_or(512, |opt| opt.udp_packet_size.max(512)).into(),
            Carrier::Stream => u16::MAX.into(),
        }
    }
}

const ORIGIN: &str = "sockserv.test";
const TTL: u32 = 300;
/// What passes every path in one piece (DNS flag day 2020).
const OUR_PACKET_SIZE: u16 = 1232;

struct Zone {
    origin: Name<'static>,
    soa: ResourceRecord<'static>,
    records: Vec<ResourceRecord<'static>>,
}

impl Zone {
    fn new() -> Self {
        let soa = RData::SOA(SOA {
            mname: Name::new_unchecked("ns.sockserv.test"),
            rname: Name::new_unchecked("hostmaster.sockserv.test"),
            serial: 1,
            refresh: 7200,
            retry: 900,
            expire: 1_209_600,
            minimum: TTL,
        });
        let soa = record(ORIGIN, soa);
        let mut records = vec![
            soa.clone(),
            record(
                ORIGIN,
                RData::NS(NS(Name::new_unchecked("ns.sockserv.test"))),
            ),
            record(ORIGIN, v4([192, 0, 2, 1])),
            record(ORIGIN, v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])),
            record(ORIGIN, text("one attribute makes it a server".to_owned())),
            record("ns.sockserv.test", v4([192, 0, 2, 53])),
            record("www.sockserv.test", v4([192, 0, 2, 80])),
            record("www.sockserv.test", v4([192, 0, 2, 81])),
            record(
                "www.sockserv.test",
                v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x80]),
            ),
        ];
        for line in 1..=20 {
            let line = format!("{line:02} {}", "=".repeat(180));
            records.push(record("big.sockserv.test", text(line)));
        }
        Zone {
            origin: Name::new_unchecked(ORIGIN),
            soa,
            records,
        }
    }

    /// Returns the reply's bytes; `None` to what is itself a reply, or two servers could go on for ever.
    fn reply(&self, message: &[u8], by: Carrier) -> simple_dns::Result<Option<Vec<u8>>> {
        if header_buffer::has_flags(message, PacketFlag::RESPONSE).unwrap_or(true) {
            return Ok(None);
        }
        let query = match parse(message) {
            Ok(query) => query,
            Err(rcode) => return refusal(message, rcode).map(Some),
        };
        let limit = by.limit(query.opt());
        let mut reply = self.answer(query);
        let whole = reply.build_bytes_vec_compressed()?;
        if whole.len() <= limit {
            return Ok(Some(whole));
        }
        reply.set_flags(PacketFlag::TRUNCATION);
        reply.answers.clear();
        reply.name_servers.clear();
        reply.build_bytes_vec_compressed().map(Some)
    }

    fn answer<'a>(&'a self, query: Packet<'a>) -> Packet<'a> {
        let mut reply = Packet::new_reply(query.id());
        if query.has_flags(PacketFlag::RECURSION_DESIRED) {
            reply.set_flags(PacketFlag::RECURSION_DESIRED);
        }
        *reply.opt_mut() = query.opt().map(|_| OPT {
            opt_codes: Vec::new(),
            udp_packet_size: OUR_PACKET_SIZE,
            version: 0,
        });
        reply.questions = query.questions;
        self.look_up(&mut reply);
        reply
    }

    /// Adds what the zone knows about the question.
    fn look_up(&self, reply: &mut Packet<'_>) {
        let question = reply.questions[0].clone();
        let name = &question.qname;
        if *name != self.origin && !name.is_subdomain_of(&self.origin)
            || !self.soa.match_qclass(question.qclass)
        {
            *reply.rcode_mut() = RCODE::Refused;
            return;
        }
        reply.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        *reply.rcode_mut() = RCODE::NameError; // Until a record has that name.
        for record in self.records.iter().filter(|record| record.name == *name) {
            *reply.rcode_mut() = RCODE::NoError;
            if record.match_qtype(question.qtype) {
                // With the name as the client spelled it: resolvers check that its case comes back.
                let name = name.clone().into_owned();
                let record = record.clone();
                reply.answers.push(ResourceRecord { name, ..record });
            }
        }
        if reply.answers.is_empty() {
            reply.name_servers.push(self.soa.clone());
        }
    }
}

/// Takes a query with one question.
fn parse(message: &[u8]) -> Result<Packet<'_>, RCODE> {
    if header_buffer::opcode(message) != Ok(OPCODE::StandardQuery) {
        return Err(RCODE::NotImplemented);
    }
    // The counts come first, because the parser allocates by them: a question, no answer, no authority, at most two more.
    if message[4..10] != [0, 1, 0, 0, 0, 0] || message[10..12] > [0, 2][..] {
        return Err(RCODE::FormatError);
    }
    Packet::parse(message).map_err(|error| match error {
        SimpleDnsError::InvalidQType(_) => RCODE::NotImplemented,
        SimpleDnsError::InvalidClass(_) => RCODE::Refused,
        _ => RCODE::FormatError,
    })
}

/// A bare header, because nothing after it could be understood.
fn refusal(message: &[u8], rcode: RCODE) -> simple_dns::Result<Vec<u8>> {
    let mut reply = Packet::new_reply(header_buffer::id(message)?);
    *reply.opcode_mut() = header_buffer::opcode(message)?;
    *reply.rcode_mut() = rcode;
    reply.build_bytes_vec()
}

fn record(name: &'static str, rdata: RData<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, TTL, rdata)
}

fn v4(address: [u8; 4]) -> RData<'static> {
    RData::A(A {
        address: u32::from_be_bytes(address),
    })
}

fn v6(address: [u16; 8]) -> RData<'static> {
    RData::AAAA(AAAA::from(std::net::Ipv6Addr::from(address)))
}

fn text(line: String) -> RData<'static> {
    let line = CharacterString::try_from(line).expect("the zone's lines are under 256 bytes");
    RData::TXT(TXT::new().with_char_string(line))
}

fn main() -> io::Result<()> {
    let zone = Arc::new(Zone::new());
    DnsServer::builder(Dns { zone })
        .addrs(std::env::args().skip(1))
        .bind()?
        .run()
}

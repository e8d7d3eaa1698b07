//! The language: what it means, and what is said of each mistake, with its line.

use super::interface::{Body, Plain, Program, Switch, Type, Variant};
use super::{Interface, Mistake, read};

const PROGRAM: &str =
    "program P { version VERSION_1 { void NOTHING(void) = 0; } = 1; } = 0x20000000;";

/// What definitions mean, with a program behind them.
#[track_caller]
fn meant(text: &str) -> Interface {
    match read(&format!("{text}\n{PROGRAM}")) {
        Ok(interface) => interface,
        Err(mistakes) => panic!("{mistakes:#?}"),
    }
}

/// What is wrong with definitions: `line: message`.
fn mistakes(text: &str) -> Vec<String> {
    let mistakes = read(&format!("{text}\n{PROGRAM}")).expect_err(text);
    let text = |one: Mistake| format!("{}: {}", one.line, one.message);
    mistakes.into_iter().map(text).collect()
}

#[track_caller]
fn is_wrong(text: &str, message: &str) {
    assert_eq!(mistakes(text), [message], "{text}");
}

fn body(interface: &Interface, name: &str) -> String {
    let found = interface.types.iter().find(|one| one.name == name);
    format!("{:?}", found.expect(name).body)
}

fn alias(text: &str) -> Type {
    let interface = meant(&format!(
        "enum e {{ A }}; struct s {{ int x; }}; typedef {text};"
    ));
    match interface.types.into_iter().last().expect(text).body {
        Body::Alias(ty) => ty,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_type_and_every_shape() {
    let plain = |text: &str| match alias(&format!("{text} t")) {
        Type::Plain(plain) => plain,
        other => panic!("{other:?}"),
    };
    for (text, wanted) in [
        ("int", Plain::Int),
        ("unsigned", Plain::UnsignedInt),
        ("unsigned int", Plain::UnsignedInt),
        ("u_int", Plain::UnsignedInt),
        ("long", Plain::Int),
        ("long int", Plain::Int),
        ("unsigned long", Plain::UnsignedInt),
        ("hyper", Plain::Hyper),
        ("unsigned hyper", Plain::UnsignedHyper),
        ("short", Plain::Short),
        ("unsigned char", Plain::UnsignedChar),
        ("float", Plain::Float),
        ("double", Plain::Double),
        ("bool", Plain::Bool),
    ] {
        assert_eq!(plain(text), wanted, "{text}");
    }
    let int = || Box::new(Type::Plain(Plain::Int));
    assert_eq!(alias("string t<10>"), Type::String(10));
    assert_eq!(alias("string t<>"), Type::String(u32::MAX));
    assert_eq!(alias("opaque t<0x10>"), Type::Opaque(16));
    assert_eq!(alias("opaque t[010]"), Type::OpaqueFixed(8));
    assert_eq!(alias("int t<2>"), Type::Array(int(), 2));
    assert_eq!(alias("int t[2]"), Type::ArrayFixed(int(), 2));
    let optional = Type::Optional {
        ty: int(),
        is_boxed: false,
    };
    assert_eq!(alias("int *t"), optional);
    assert_eq!(alias("e t"), Type::Named("e".to_owned()));
    assert_eq!(alias("struct s t"), Type::Named("s".to_owned()));
}

#[test]
fn what_is_defined() {
    let interface = meant(
        "/* a comment; */ const TEN = 10; // another
        %#include <stdio.h> 'is not ours
         const MINUS = -1;
         enum colour { COLOUR_RED = 2, COLOUR_BLUE, COLOUR_TEN = TEN };
         struct point { int x; hyper theY; string type<TEN>; };
         typedef struct { int a; } odd;
         union u switch (colour c) { case COLOUR_RED: case COLOUR_TEN: int n; default: void; };
         union v switch (unsigned int n) { case TEN: void; case 7: int i; default: bool b; };",
    );
    let constants: Vec<_> = interface
        .constants
        .iter()
        .map(|one| (&*one.name, one.value))
        .collect();
    assert_eq!(constants, [("TEN", 10), ("MINUS", -1)]);
    assert_eq!(
        body(&interface, "colour"),
        r#"Enum([("Red", 2), ("Blue", 3), ("Ten", 10)])"#
    );
    assert_eq!(
        body(&interface, "point"),
        r#"Struct([("x", Plain(Int)), ("the_y", Plain(Hyper)), ("type", String(10))])"#
    );
    assert_eq!(body(&interface, "odd"), r#"Struct([("a", Plain(Int))])"#);
    let find = |name: &str| interface.types.iter().find(|one| one.name == name);
    let (Some(Body::Union(u)), Some(Body::Union(v))) = (
        find("u").map(|one| &one.body),
        find("v").map(|one| &one.body),
    ) else {
        panic!("two unions");
    };
    let variant = |name: &str, value, ty| Variant {
        name: name.to_owned(),
        value,
        ty,
    };
    let int = Type::Plain(Plain::Int);
    let wanted = [
        variant("Red", 2, int.clone()),
        variant("Ten", 10, int.clone()),
        variant("Blue", 3, Type::Void),
    ];
    assert_eq!((&*u.variants, &u.default), (&wanted[..], &None));
    let wanted = [variant("Ten", 10, Type::Void), variant("Case7", 7, int)];
    assert_eq!((v.switch, &*v.variants), (Switch::UnsignedInt, &wanted[..]));
    assert_eq!(v.default, Some(Type::Plain(Plain::Bool)));
}

fn programs(text: &str) -> Vec<Program> {
    read(text)
        .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
        .programs
}

#[test]
fn programs_versions_and_procedures() {
    let programs = programs(
        "program P {
            version V1 { void NULL(void) = 0; int ADD_UP(int, hyper) = 1; string setup(string) = 2; } = 1;
            version V2 { int ADD_UP(int) = 1; string getAttr(string<3>) = 7; } = 2;
        } = 99;",
    );
    let [program] = &*programs else { panic!("one") };
    let methods = |at: usize| -> Vec<_> {
        let procedures = &program.versions[at].procedures;
        procedures
            .iter()
            .map(|one| (one.number, &*one.method))
            .collect()
    };
    assert_eq!(program.number, 99);
    assert_eq!(methods(0), [(1, "add_up_1"), (2, "setup_")]);
    assert_eq!(methods(1), [(1, "add_up_2"), (7, "get_attr")]);
    let arguments = &program.versions[0].procedures[0].arguments;
    assert_eq!(
        arguments[..],
        [Type::Plain(Plain::Int), Type::Plain(Plain::Hyper)]
    );
    assert_eq!(
        program.versions[1].procedures[1].arguments,
        [Type::String(3)]
    );
}

#[test]
fn only_what_contains_itself_is_boxed() {
    let interface = meant(
        "struct leaf { int x; };
         struct node { leaf *leaf; node *next; };
         typedef node *list;
         struct holder { list all; };
         union tree switch (bool more) { case TRUE: branch *branch; case FALSE: void; };
         struct branch { tree left; tree *right; };",
    );
    let boxes = |name| body(&interface, name).matches("is_boxed: true").count();
    assert_eq!(boxes("node"), 1);
    assert_eq!((boxes("list"), boxes("holder")), (1, 1));
    assert_eq!((boxes("tree"), boxes("branch")), (1, 1));
}

const IN_THE_GRAMMAR: &[(&str, &str)] = &[
    ("const A = ;", "1: `;` does not fit here; write a number"),
    (
        "\nint x;",
        "2: `int` does not fit here; write `const`, `typedef`, `enum`, `struct`, `union` or `program`",
    ),
    (
        "struct s {\nint x\n};",
        "2: `}` does not fit here; write `;` before it",
    ),
    (
        "struct s { int x; }",
        "1: `program` does not fit here; write `;` before it",
    ),
    (
        "struct s { int 5; };",
        "1: `5` does not fit here; write a name",
    ),
    (
        "struct s { int int; };",
        "1: `int` is a word of the language; write another name",
    ),
    ("struct s { void; };", "1: `void` is no field; leave it out"),
    (
        "typedef void v;",
        "1: `void` declares nothing; write a type with a name",
    ),
    (
        "struct s { struct { int x; } y; };",
        "1: `{` does not fit here; write `struct name { ... };` of its own before, and the name here",
    ),
    (
        "typedef quadruple q;",
        "1: `quadruple` does not fit here; write another type: Rust has no `quadruple`",
    ),
    (
        "union u switch (int x) { };",
        "1: `}` does not fit here; write `case` and a value",
    ),
    (
        "\n/* never ends",
        "2: the comment does not end; write `*/` behind it",
    ),
    (
        "/x",
        "1: `/` begins no word; write `/* ... */` around a comment",
    ),
    (
        "#define X 1",
        "1: no C preprocessor reads this file; leave out the line with `#`, or write `const`",
    ),
    (
        "const A = 0x;",
        "1: `0x` is no number; write it as 10, 0xa or 012",
    ),
    (
        "const A = 09;",
        "1: `09` is no number; write it as 10, 0xa or 012",
    ),
];

#[test]
fn mistakes_in_the_grammar() {
    for (text, message) in IN_THE_GRAMMAR {
        is_wrong(text, message);
    }
    let cut = read("program P { version").expect_err("cut");
    assert_eq!(
        cut[0].message,
        "the end of the file does not fit here; write a name"
    );
}

const IN_THE_MEANING: &[(&str, &str)] = &[
    (
        "struct point { int x; };\ntypedef piont p;",
        "2: `piont` is no type; did you mean `point`?",
    ),
    (
        "typedef nothing_like_it p;",
        "1: `nothing_like_it` is no type; write `struct nothing_like_it { ... };` before it",
    ),
    (
        "typedef string s<MAX>;",
        "1: `MAX` is no number; write `const MAX = 10;` before it",
    ),
    (
        "typedef int a[0];",
        "1: `0` does not fit; write a number from 1 to 65536",
    ),
    (
        "typedef int a<-1>;",
        "1: `-1` does not fit; write a number from 0 to 4294967295",
    ),
    (
        "enum e { A = 2147483647, B };",
        "1: `2147483648` does not fit; write a number from -2147483648 to 2147483647",
    ),
    (
        "typedef string s;",
        "1: a `string` has its maximum in angle brackets; write `string name<80>` or `string name<>`",
    ),
    (
        "typedef opaque o;",
        "1: `opaque` has its length in brackets; write `opaque name[8]` or `opaque name<8>`",
    ),
    (
        "const A = 1;\nconst A = 2;",
        "2: `A` is a number already; write another name",
    ),
    (
        "struct a { int x; };\nenum a { B };",
        "2: `a` is defined in line 1; write another name",
    ),
    (
        "struct an_a { int x; };\nstruct AnA { int x; };",
        "2: `an_a` and `AnA` are both `AnA` in Rust; rename one",
    ),
    (
        "enum e { A = 1, B = 1 };",
        "1: `B` has the number of another one; write a number of its own",
    ),
    (
        "enum e { A_B, A__B };",
        "1: `A__B` and another are both `AB` in Rust; rename one",
    ),
    (
        "struct s { int x; int X; };",
        "1: `x` is a field already; write another name",
    ),
    (
        "struct s { int x; s y; };",
        "1: `s` contains itself without end; write `s *next` or `s children<>`",
    ),
    (
        "struct s { int x; s y[2]; };",
        "1: `s` contains itself without end; write `s *next` or `s children<>`",
    ),
    (
        "union u switch (hyper h) { case 1: void; };",
        "1: a union is switched by a number; write `int`, `unsigned int`, `bool` or an enum",
    ),
    (
        "union u switch (int i) { case 1: void; case 1: int x; };",
        "1: `case 1` is written twice; keep one",
    ),
    (
        "union u switch (bool b) { case 2: void; };",
        "1: `2` is no value of what the union is switched by; write one of its names",
    ),
    (
        "const OTHER = 3; union u switch (int i) { case OTHER: void; default: int x; };",
        "1: a case of `u` and its default are both `Other` in Rust; rename the case",
    ),
];

#[test]
fn mistakes_in_the_meaning() {
    for (text, message) in IN_THE_MEANING {
        is_wrong(text, message);
    }
    let endless = mistakes("typedef a b;\ntypedef b a;");
    assert_eq!(
        endless,
        [
            "1: `a` stands for itself; write what it is",
            "2: `b` stands for itself; write what it is"
        ]
    );
    let two = mistakes("typedef nothing_like_it p;\ntypedef int a[0];");
    assert_eq!(two.len(), 2, "all are said: {two:?}");
}

#[test]
fn mistakes_in_programs() {
    let wrong = |text: &str, message: &str| {
        let mistakes = read(text).expect_err(text);
        let said: Vec<_> = mistakes.iter().map(|one| &*one.message).collect();
        assert_eq!(said, [message], "{text}");
    };
    wrong(
        "const A = 1;",
        "the file has no program; write `program NAME { version ... } = 0x20000001;`",
    );
    wrong(
        "program P { } = 1;",
        "`P` has no version; write `version P_V1 { ... } = 1;` in it",
    );
    let version =
        |procedures: &str| format!("program P {{ version V {{ {procedures} }} = 1; }} = 1;");
    wrong(
        &version("int A(void) = 0;"),
        "procedure 0 takes and returns nothing; write `void A(void) = 0`, or another number",
    );
    wrong(
        &version("int A(int, void) = 1;"),
        "`void` stands alone; leave it out",
    );
    wrong(
        &version("int A(void) = 1; int B(void) = 1;"),
        "`B` has the number 1 of another procedure; write a number of its own",
    );
    wrong(
        &version("int A(void) = -1;"),
        "`-1` does not fit; write a number from 0 to 4294967295",
    );
    wrong(
        "program P { version V { } = 1; version W { } = 1; } = 1;",
        "`W` has the number 1 of another version; write a number of its own",
    );
}

/// A generator of its own: this crate depends on none.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % sides
    }
}

#[test]
fn no_text_makes_it_panic() {
    let good = include_str!("../../../sockserv/src/rpc/tests/calculator.x");
    assert!(read(good).is_ok());
    let words: Vec<&str> = good
        .split_inclusive([' ', '\n', ';', '<', '>', '(', ')', ','])
        .collect();
    let mut dice = Dice(1);
    for _ in 0..3000 {
        let mut odd = words.clone();
        for _ in 0..=dice.roll(4) {
            let (at, from) = (dice.roll(odd.len()), dice.roll(words.len()));
            match dice.roll(4) {
                0 if at + 1 < odd.len() => drop(odd.remove(at)),
                1 => odd.insert(at, words[from]),
                2 => odd[at] = words[from],
                _ => odd.truncate(at + 1),
            }
        }
        let _ = read(&odd.concat());
    }
    for _ in 0..3000 {
        let any: String = (0..dice.roll(40))
            .map(|_| ['/', '*', '-', '0', 'x', '_', '{', '}', 'é', '%', '\n', '='][dice.roll(12)])
            .collect();
        let _ = read(&any);
    }
}

//! Random filters and entities, and a second evaluator to compare with: over another model, with numbers for truth.

use proptest::{prelude::*, sample::select};

use super::{super::*, Ops, Property, Schema, Shape, Type};

const ALL: Ops = Ops::EQUALITY.and(Ops::ORDER).and(Ops::STARTS_WITH).and(Ops::ENDS_WITH).and(Ops::CONTAINS);
const INNER: &[Property] = &[
    Property::new("text", Shape::Single(Type::String, ALL)),
    Property::new("number", Shape::Single(Type::Integer, ALL)),
    Property::new("flag", Shape::Single(Type::Boolean, ALL)),
];
/// Every shape and type, with every operator.
const THINGS: Schema = Schema {
    entity: "thing",
    properties: &[
        Property::new("text", Shape::Single(Type::String, ALL)),
        Property::new("number", Shape::Single(Type::Integer, ALL)),
        Property::new("flag", Shape::Single(Type::Boolean, ALL)),
        Property::new("moment", Shape::Single(Type::DateTime, ALL)),
        Property::new("guid", Shape::Single(Type::Guid, ALL)),
        Property::new("inner", Shape::Object(INNER)),
        Property::new("texts", Shape::Many(Type::String, ALL)),
        Property::new("numbers", Shape::Many(Type::Integer, ALL)),
        Property::new("inners", Shape::Objects(INNER)),
    ],
    default_top: 100,
};

/// A value, as the tests have it.
#[derive(Clone, Debug)]
enum Model {
    One(Literal),
    Object(Vec<(&'static str, Model)>),
    Many(Vec<Model>),
}

impl Entity for Model {
    fn property(&self, name: &str) -> Value<'_> {
        self.member(name).map_or(Value::Null, Model::value)
    }
}

impl Model {
    fn member(&self, name: &str) -> Option<&Model> {
        let Self::Object(members) = self else { return None };
        members.iter().find(|(known, _)| *known == name).map(|(_, member)| member)
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::One(Literal::Null) => Value::Null,
            Self::One(Literal::String(text)) => text.as_str().into(),
            Self::One(Literal::Boolean(value)) => (*value).into(),
            Self::One(Literal::Integer(value)) => (*value).into(),
            Self::One(Literal::DateTime(value)) => (*value).into(),
            Self::One(Literal::Guid(value)) => (*value).into(),
            Self::Object(_) => Value::Object(self),
            Self::Many(items) => Value::Many(items.iter().map(Model::value).collect()),
        }
    }
}

// Values come from small sets, so that they meet.

fn literal(of: Type) -> BoxedStrategy<Literal> {
    let some = match of {
        Type::String => {
            let texts = vec!["", "a", "A", "b", "aB", "ab", "Ba", "é", "É", "o'b", "' or '", "éA", "[", "`"];
            select(texts).prop_map(|text| Literal::String(text.into())).boxed()
        }
        Type::Boolean => any::<bool>().prop_map(Literal::Boolean).boxed(),
        Type::Integer => prop_oneof![-2i64..3, select(vec![i64::MIN, i64::MAX])].prop_map(Literal::Integer).boxed(),
        Type::DateTime => {
            select(vec!["0001-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z", "9999-12-30T22:00:00Z"])
                .prop_map(|text| Literal::DateTime(text.parse().unwrap()))
                .boxed()
        }
        Type::Guid => select(vec![0, 1, 0xa, u128::MAX]).prop_map(|number| Literal::Guid(Uuid::from_u128(number))).boxed(),
    };
    prop_oneof![1 => Just(Literal::Null), 6 => some].boxed()
}

fn one(of: Type) -> BoxedStrategy<Model> {
    literal(of).prop_map(Model::One).boxed()
}

fn inner() -> impl Strategy<Value = Model> {
    (one(Type::String), one(Type::Integer), one(Type::Boolean))
        .prop_map(|(text, number, flag)| Model::Object(vec![("text", text), ("number", number), ("flag", flag)]))
}

fn thing() -> impl Strategy<Value = Model> {
    let null = || Just(Model::One(Literal::Null));
    let many = |of| prop_oneof![1 => null(), 4 => prop::collection::vec(one(of), 0..4).prop_map(Model::Many)];
    let inners = prop_oneof![1 => null(), 4 => prop::collection::vec(inner(), 0..4).prop_map(Model::Many)];
    let object = prop_oneof![1 => null().boxed(), 4 => inner().boxed()];
    let singles = (one(Type::String), one(Type::Integer), one(Type::Boolean), one(Type::DateTime), one(Type::Guid));
    (singles, object, many(Type::String), many(Type::Integer), inners).prop_map(
        |((text, number, flag, moment, guid), inner, texts, numbers, inners)| {
            Model::Object(vec![
                ("text", text),
                ("number", number),
                ("flag", flag),
                ("moment", moment),
                ("guid", guid),
                ("inner", inner),
                ("texts", texts),
                ("numbers", numbers),
                ("inners", inners),
            ])
        },
    )
}

type At = (Option<&'static str>, &'static [&'static str], Type);

fn condition(places: &'static [At]) -> BoxedStrategy<Expr> {
    let of_place = |(variable, names, of): At| {
        let path = Path { variable: variable.map(str::to_owned), names: names.to_vec() };
        let (compared, listed, called) = (path.clone(), path.clone(), path);
        let compare = (select(&Comparison::ALL[..]), literal(of))
            .prop_map(move |(comparison, literal)| Expr::Compare(compared.clone(), comparison, literal));
        let list = prop::collection::vec(literal(of), 1..4).prop_map(move |list| Expr::In(listed.clone(), list));
        let call = (select(&Function::ALL[..]), literal(Type::String)).prop_map(move |(function, text)| match text {
            Literal::String(text) => Expr::Call(function, called.clone(), text),
            _ => Expr::Compare(called.clone(), Comparison::Eq, Literal::Null),
        });
        if of == Type::String { prop_oneof![compare, list, call].boxed() } else { prop_oneof![compare, list].boxed() }
    };
    select(places).prop_flat_map(of_place).boxed()
}

fn connected(leaf: BoxedStrategy<Expr>, depth: u32) -> BoxedStrategy<Expr> {
    leaf.prop_recursive(depth, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Or),
            inner.prop_map(|inner| Expr::Not(Box::new(inner))),
        ]
    })
    .boxed()
}

fn lambda(name: &'static str, places: &'static [At]) -> BoxedStrategy<Expr> {
    let collection = Path { variable: None, names: vec![name] };
    let inside = (select(vec![Quantifier::Any, Quantifier::All]), connected(condition(places), 2));
    let with = collection.clone();
    let lambda = inside.prop_map(move |(quantifier, inner)| Expr::Lambda(with.clone(), quantifier, "x".into(), Box::new(inner)));
    prop_oneof![6 => lambda, 1 => Just(Expr::NotEmpty(collection))].boxed()
}

fn expr() -> BoxedStrategy<Expr> {
    const PLACES: &[At] = &[
        (None, &["text"], Type::String),
        (None, &["number"], Type::Integer),
        (None, &["flag"], Type::Boolean),
        (None, &["moment"], Type::DateTime),
        (None, &["guid"], Type::Guid),
        (None, &["inner", "text"], Type::String),
        (None, &["inner", "number"], Type::Integer),
    ];
    const OF_INNERS: &[At] =
        &[(Some("x"), &["text"], Type::String), (Some("x"), &["number"], Type::Integer), (Some("x"), &["flag"], Type::Boolean)];
    let leaf = prop_oneof![
        4 => condition(PLACES),
        1 => lambda("texts", &[(Some("x"), &[], Type::String)]),
        1 => lambda("numbers", &[(Some("x"), &[], Type::Integer)]),
        1 => lambda("inners", OF_INNERS),
    ];
    connected(leaf.boxed(), 3).prop_filter("within the limit of nodes", |expr| nodes(expr) <= MAX_NODES).boxed()
}

pub(super) fn nodes(expr: &Expr) -> usize {
    1 + match expr {
        Expr::And(all) | Expr::Or(all) => all.iter().map(nodes).sum(),
        Expr::Not(inner) | Expr::Lambda(_, _, _, inner) => nodes(inner),
        _ => 0,
    }
}

/// The second evaluator: 1 is true, 0 is false, 0.5 unknown; `and` is the smaller, `or` the greater, `not` the rest to 1.
fn naive(expr: &Expr, thing: &Model, item: Option<&Model>) -> f32 {
    let null = Model::One(Literal::Null);
    let at = |path: &Path| {
        let mut here = if path.variable.is_some() { item.unwrap() } else { thing };
        for name in &path.names {
            here = here.member(name).unwrap_or(&null);
        }
        here.clone()
    };
    let yes = |truth: bool| if truth { 1.0 } else { 0.0 };
    match expr {
        Expr::And(all) => all.iter().map(|one| naive(one, thing, item)).fold(1.0, f32::min),
        Expr::Or(all) => all.iter().map(|one| naive(one, thing, item)).fold(0.0, f32::max),
        Expr::Not(inner) => 1.0 - naive(inner, thing, item),
        Expr::Compare(path, comparison, right) => {
            let Model::One(left) = at(path) else { panic!("a single value") };
            let (left, right) = (folded(&left), folded(right));
            let known = left != Literal::Null && right != Literal::Null;
            yes(match comparison {
                Comparison::Eq => left == right,
                Comparison::Ne => left != right,
                Comparison::Gt => known && left > right,
                Comparison::Ge => left == right || known && left > right,
                Comparison::Lt => known && left < right,
                Comparison::Le => left == right || known && left < right,
            })
        }
        Expr::In(path, list) => {
            let Model::One(left) = at(path) else { panic!("a single value") };
            yes(list.iter().map(folded).any(|right| right == folded(&left)))
        }
        Expr::Call(function, path, text) => {
            let Model::One(Literal::String(value)) = at(path) else { return 0.5 };
            let (value, text) = (value.to_ascii_lowercase(), text.to_ascii_lowercase());
            yes(match function {
                Function::StartsWith => value.starts_with(&text),
                Function::EndsWith => value.ends_with(&text),
                Function::Contains => value.contains(&text),
            })
        }
        Expr::Lambda(path, quantifier, _, inner) => {
            let items = if let Model::Many(items) = at(path) { items } else { Vec::new() };
            let satisfied = items.iter().filter(|item| naive(inner, thing, Some(item)) > 0.75).count();
            yes(if *quantifier == Quantifier::Any { satisfied > 0 } else { satisfied == items.len() })
        }
        Expr::NotEmpty(path) => yes(matches!(at(path), Model::Many(items) if !items.is_empty())),
    }
}

fn folded(literal: &Literal) -> Literal {
    match literal {
        Literal::String(text) => Literal::String(text.to_ascii_lowercase()),
        other => other.clone(),
    }
}

/// The same filter as somebody else would write it: other case of keywords, more blanks and parentheses.
fn rewritten(expr: &Expr, noise: &mut impl FnMut() -> bool) -> String {
    let case = |word: &str, loud: bool| if loud { word.to_ascii_uppercase() } else { word.to_owned() };
    let blank = |wide: bool| if wide { "  \t" } else { " " };
    let text = match expr {
        Expr::And(all) | Expr::Or(all) => {
            let word = if matches!(expr, Expr::And(_)) { "and" } else { "or" };
            let operands: Vec<_> = all.iter().map(|one| format!("({})", rewritten(one, noise))).collect();
            operands.join(&format!("{}{}{}", blank(noise()), case(word, noise()), blank(noise())))
        }
        Expr::Not(inner) => format!("{}({})", case("not", noise()), rewritten(inner, noise)),
        Expr::Lambda(path, quantifier, _, inner) => {
            format!("{path}/{}(x :{}{})", case(quantifier.word(), noise()), blank(noise()), rewritten(inner, noise))
        }
        Expr::Call(function, path, text) => format!("{}( {path} ,\t{})", case(function.word(), noise()), Quoted(text)),
        Expr::Compare(path, comparison, literal) => {
            format!("{path} {}{}{literal}", case(comparison.word(), noise()), blank(noise()))
        }
        other => other.to_string(),
    };
    if noise() { format!(" ({text} )") } else { text }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2 * ProptestConfig::default().cases))]

    #[test]
    fn a_filter_that_is_written_is_read_back(expr in expr()) {
        let filter = Filter(expr);
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text, &THINGS), Ok(filter), "{}", text);
    }

    #[test]
    fn spelling_does_not_matter(expr in expr(), mut noise: u64) {
        let mut bit = || {
            noise = noise.rotate_left(1);
            noise & 1 == 1
        };
        let text = rewritten(&expr, &mut bit);
        prop_assert_eq!(Filter::parse(&text, &THINGS), Ok(Filter(expr)), "{}", text);
    }

    #[test]
    fn a_filter_matches_what_the_second_evaluator_says(expr in expr(), things in prop::collection::vec(thing(), 8)) {
        let text = expr.to_string();
        let filter = Filter::parse(&text, &THINGS);
        prop_assert!(filter.is_ok(), "{}: {:?}", text, filter);
        for thing in &things {
            prop_assert_eq!(filter.as_ref().unwrap().matches(thing), naive(&expr, thing, None) > 0.75, "{} {:?}", text, thing);
        }
    }

    #[test]
    fn what_matches_has_what_is_demanded(expr in expr(), things in prop::collection::vec(thing(), 8)) {
        let filter = Filter(expr);
        for thing in things.iter().filter(|thing| filter.matches(*thing)) {
            for demand in filter.demands() {
                let mut here = vec![thing.clone()];
                for name in &demand.names {
                    here = here.iter().map(|model| model.member(name).cloned().unwrap_or(Model::One(Literal::Null))).collect();
                    here = here.into_iter().flat_map(|model| if let Model::Many(items) = model { items } else { vec![model] }).collect();
                }
                let wanted: Vec<_> = demand.one_of.iter().map(folded).collect();
                let found = here.iter().any(|model| matches!(model, Model::One(literal) if wanted.contains(&folded(literal))));
                prop_assert!(found, "{} {:?}", filter, demand);
            }
        }
    }
}

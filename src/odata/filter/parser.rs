//! From words to the tree, checked against the schema on the way.

mod words;

use super::{
    super::{
        error::{Error, shown},
        schema::{Ops, Property, Schema, Shape, Type, find},
    },
    Comparison, Expr, Function, Literal, MAX_BYTES, MAX_DEPTH, MAX_LIST, MAX_NODES, Path, Quantifier,
    lexer::{Placed, Token, fault, tokens},
};

/// Operators and functions of OData 4.01 (part 2, section 5.1.1) that are not offered anywhere.
const NOT_OFFERED: &[&str] = &[
    "has",
    "add",
    "sub",
    "mul",
    "div",
    "divby",
    "mod",
    "concat",
    "indexof",
    "length",
    "substring",
    "hassubset",
    "hassubsequence",
    "matchespattern",
    "tolower",
    "toupper",
    "trim",
    "substringof",
    "date",
    "day",
    "fractionalseconds",
    "hour",
    "maxdatetime",
    "mindatetime",
    "minute",
    "month",
    "now",
    "second",
    "time",
    "totaloffsetminutes",
    "totalseconds",
    "year",
    "ceiling",
    "floor",
    "round",
    "cast",
    "isof",
    "geo.distance",
    "geo.intersects",
    "geo.length",
    "case",
];

/// Words that cannot name a lambda's variable, since a filter would read in two ways.
const RESERVED: &[&str] = &["and", "or", "not", "in", "eq", "ne", "gt", "ge", "lt", "le", "any", "all", "true", "false", "null"];

/// Reads a whole filter.
///
/// # Errors
/// As [`super::Filter::parse`].
pub(super) fn parse(text: &str, schema: &Schema) -> Result<Expr, Error> {
    if text.len() > MAX_BYTES {
        return Err(too_long());
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { text, tokens: &tokens, at: 0, depth: 0, nodes: 0, schema, variable: None };
    let expr = parser.or()?;
    match parser.peek() {
        None => Ok(expr),
        Some(_) => Err(parser.unexpected("'and', 'or' or the end")),
    }
}

pub(super) fn too_long() -> Error {
    Error::bad_request(format!("Invalid filter clause: $filter may have {MAX_BYTES} bytes."))
}

struct Parser<'t> {
    text: &'t str,
    tokens: &'t [Placed<'t>],
    at: usize,
    depth: usize,
    nodes: usize,
    schema: &'t Schema,
    /// The variable of the lambda that is being read, and what it stands for.
    variable: Option<(&'t str, Shape)>,
}

impl<'t> Parser<'t> {
    fn or(&mut self) -> Result<Expr, Error> {
        self.joined("or", Self::and, Expr::Or)
    }

    fn and(&mut self) -> Result<Expr, Error> {
        self.joined("and", Self::unary, Expr::And)
    }

    /// Operands between one keyword; a single one stays as it is.
    fn joined(
        &mut self,
        keyword: &str,
        operand: fn(&mut Self) -> Result<Expr, Error>,
        join: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr, Error> {
        let first = operand(self)?;
        if !self.is_word(0, keyword) {
            return Ok(first);
        }
        self.count()?;
        let mut operands = vec![first];
        while self.is_word(0, keyword) {
            self.at += 1;
            operands.push(operand(self)?);
        }
        Ok(join(operands))
    }

    fn unary(&mut self) -> Result<Expr, Error> {
        let expr = if self.is_word(0, "not") {
            self.at += 1;
            self.count()?;
            let at = self.at;
            let inner = self.nested(Self::unary)?;
            let in_parentheses = matches!(self.tokens[at].0, Token::Open);
            if matches!(inner, Expr::Compare(..) | Expr::In(..)) && !in_parentheses {
                return Err(fault(self.tokens[at].1, "put parentheses around the comparison that 'not' negates"));
            }
            Expr::Not(Box::new(inner))
        } else if self.is(0, &Token::Open) {
            self.at += 1;
            let inner = self.nested(Self::or)?;
            self.expect(&Token::Close, "')'")?;
            inner
        } else {
            self.condition()?
        };
        match self.peek() {
            Some(Token::Word(word)) if is_operator(word) => Err(self.not_offered("comparing or calculating with a result")),
            _ => Ok(expr),
        }
    }

    fn condition(&mut self) -> Result<Expr, Error> {
        match self.peek() {
            Some(Token::Word(_)) if self.is(1, &Token::Open) => self.call(),
            Some(Token::Word("true" | "false" | "null")) => {
                Err(self.not_offered("a literal as condition or on the left of an operator"))
            }
            Some(Token::Word(_)) => {
                self.count()?;
                let (path, shape) = self.path()?;
                if self.is(0, &Token::Slash) { self.lambda(path, shape) } else { self.comparison(path, shape) }
            }
            Some(Token::Text(_) | Token::Integer(_) | Token::DateTime(_) | Token::Guid(_)) => {
                Err(self.not_offered("a literal on the left of an operator"))
            }
            _ => Err(self.unexpected("a condition")),
        }
    }

    fn call(&mut self) -> Result<Expr, Error> {
        self.count()?;
        let name = self.word("a function")?;
        let Some(function) = Function::ALL.into_iter().find(|function| name.eq_ignore_ascii_case(function.word())) else {
            self.at -= 1;
            let known = NOT_OFFERED.iter().any(|other| name.eq_ignore_ascii_case(other));
            return Err(if known {
                self.not_offered("the function")
            } else {
                self.fault(&format!("there is no function '{}'", shown(name)))
            });
        };
        self.expect(&Token::Open, "'('")?;
        if let Some(Token::Text(_)) = self.peek() {
            return Err(self.fault(&format!("the first argument of '{}' is a property, the second a string", function.word())));
        }
        let (path, shape) = self.path()?;
        let needed = match function {
            Function::StartsWith => Ops::STARTS_WITH,
            Function::EndsWith => Ops::ENDS_WITH,
            Function::Contains => Ops::CONTAINS,
        };
        let of = self.single(&path, shape, needed, function.word())?;
        self.expect(&Token::Comma, "','")?;
        let Literal::String(text) = self.literal(&path, of)? else {
            self.at -= 1;
            return Err(self.fault(&format!("the second argument of '{}' has to be a string", function.word())));
        };
        self.expect(&Token::Close, "')'")?;
        Ok(Expr::Call(function, path, text))
    }

    /// A property of the entity, or of what the variable stands for, and what is there.
    fn path(&mut self) -> Result<(Path, Shape), Error> {
        let at = self.at;
        let first = self.word("a property")?;
        let mut path = Path { variable: None, names: Vec::new() };
        let mut shape = match self.variable {
            Some((variable, shape)) if variable == first => {
                path.variable = Some(first.to_owned());
                shape
            }
            _ => {
                let property = self.known(self.schema.properties, first)?;
                if self.variable.is_some() {
                    self.at = at;
                    return Err(self.not_offered("a property of the entity inside of 'any' or 'all'"));
                }
                path.names.push(property.name);
                property.shape
            }
        };
        while self.is(0, &Token::Slash) && !self.lambda_follows() {
            self.at += 1;
            let name = self.word("a property")?;
            let Shape::Object(properties) = shape else {
                self.at -= 1;
                return Err(match (name, shape) {
                    ("$count", _) => self.not_offered("'$count' in a filter"),
                    (_, Shape::Many(..) | Shape::Objects(_)) => {
                        self.fault(&format!("'{path}' is a collection: use {path}/any(x:x …)"))
                    }
                    _ => self.fault(&format!("'{path}' has no properties")),
                });
            };
            let property = self.known(properties, name)?;
            path.names.push(property.name);
            shape = property.shape;
        }
        Ok((path, shape))
    }

    /// The property of a name that was just read.
    fn known(&mut self, properties: &'static [Property], name: &str) -> Result<&'static Property, Error> {
        find(properties, name).ok_or_else(|| {
            self.at -= 1;
            if name.contains(['$', '@', '.']) {
                return self.not_offered(&format!("'{}' in a filter", shown(name)));
            }
            self.fault(&format!("'{}' is no property of '{}'", shown(name), self.schema.entity))
        })
    }

    fn lambda_follows(&self) -> bool {
        (self.is_word(1, "any") || self.is_word(1, "all")) && self.is(2, &Token::Open)
    }

    fn lambda(&mut self, path: Path, shape: Shape) -> Result<Expr, Error> {
        if self.variable.is_some() {
            return Err(self.not_offered("'any' or 'all' inside of another"));
        }
        let item = match shape {
            Shape::Many(of, ops) => Shape::Single(of, ops),
            Shape::Objects(properties) => Shape::Object(properties),
            _ => return Err(self.fault(&format!("'{path}' is no collection"))),
        };
        let quantifier = if self.is_word(1, "any") { Quantifier::Any } else { Quantifier::All };
        self.at += 3;
        if quantifier == Quantifier::Any && self.is(0, &Token::Close) {
            self.at += 1;
            return Ok(Expr::NotEmpty(path));
        }
        let variable = self.word("the variable")?;
        if !variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            || RESERVED.iter().any(|word| variable.eq_ignore_ascii_case(word))
        {
            self.at -= 1;
            return Err(self.fault(&format!("'{}' cannot be a variable", shown(variable))));
        }
        self.expect(&Token::Colon, "':'")?;
        self.variable = Some((variable, item));
        let inner = self.nested(Self::or)?;
        self.variable = None;
        self.expect(&Token::Close, "')'")?;
        Ok(Expr::Lambda(path, quantifier, variable.to_owned(), Box::new(inner)))
    }

    fn comparison(&mut self, path: Path, shape: Shape) -> Result<Expr, Error> {
        let operator = self.word("an operator")?;
        if operator.eq_ignore_ascii_case("in") {
            let of = self.single(&path, shape, Ops::IN, "in")?;
            return Ok(Expr::In(path.clone(), self.list(&path, of)?));
        }
        let Some(comparison) = Comparison::ALL.into_iter().find(|known| operator.eq_ignore_ascii_case(known.word())) else {
            self.at -= 1;
            return Err(match operator {
                _ if is_operator(operator) => self.not_offered("the operator"),
                _ if ["and", "or"].iter().any(|word| operator.eq_ignore_ascii_case(word)) => {
                    self.not_offered("a property as condition")
                }
                _ => self.fault(&format!("'{}' is no operator", shown(operator))),
            });
        };
        let needed = match comparison {
            Comparison::Eq => Ops::EQ,
            Comparison::Ne => Ops::NE,
            _ => Ops::ORDER,
        };
        let of = self.single(&path, shape, needed, comparison.word())?;
        let literal = self.literal(&path, of)?;
        Ok(Expr::Compare(path, comparison, literal))
    }

    /// The type of what is at a path, if it is one value that offers this operator.
    fn single(&self, path: &Path, shape: Shape, needed: Ops, operator: &str) -> Result<Type, Error> {
        let refused = |what: &str| Error::unsupported_query(format!("Unsupported query filter clause: {what}."));
        match shape {
            Shape::Single(of, ops) if ops.offer(needed) => Ok(of),
            Shape::Single(..) => Err(refused(&format!("'{path}' of '{}' does not offer '{operator}'", self.schema.entity))),
            Shape::Many(..) | Shape::Objects(_) => Err(self.fault(&format!("'{path}' is a collection: use {path}/any(x:x …)"))),
            Shape::Object(_) => Err(refused(&format!("'{path}' is an object and cannot be compared; its properties can"))),
            Shape::Opaque => Err(refused(&format!("'{path}' of '{}' cannot be filtered by", self.schema.entity))),
        }
    }

    fn list(&mut self, path: &Path, of: Type) -> Result<Vec<Literal>, Error> {
        self.expect(&Token::Open, "'('")?;
        let mut list = vec![self.literal(path, of)?];
        while self.is(0, &Token::Comma) {
            if list.len() == MAX_LIST {
                return Err(self.fault(&format!("a list may have {MAX_LIST} values")));
            }
            self.at += 1;
            list.push(self.literal(path, of)?);
        }
        self.expect(&Token::Close, "')'")?;
        Ok(list)
    }

    fn literal(&mut self, path: &Path, of: Type) -> Result<Literal, Error> {
        let Some(token) = self.peek() else { return Err(self.unexpected(of.name())) };
        let literal = match (token, of) {
            (Token::Word(word), _) if word.eq_ignore_ascii_case("null") => Some(Literal::Null),
            (Token::Word(word), Type::Boolean) if word.eq_ignore_ascii_case("true") => Some(Literal::Boolean(true)),
            (Token::Word(word), Type::Boolean) if word.eq_ignore_ascii_case("false") => Some(Literal::Boolean(false)),
            (Token::Word(word), _) if find(self.schema.properties, word).is_some() => {
                return Err(self.not_offered("comparing one property with another"));
            }
            (Token::Text(text), Type::String) => Some(Literal::String(text.clone())),
            // 36 bytes: `Uuid` also reads braced and plain forms, which Graph does not write.
            (Token::Text(text), Type::Guid) if text.len() == 36 => text.parse().ok().map(Literal::Guid),
            (Token::Guid(guid), Type::Guid) => Some(Literal::Guid(*guid)),
            (Token::Integer(number), Type::Integer) => Some(Literal::Integer(*number)),
            (Token::DateTime(moment), Type::DateTime) => Some(Literal::DateTime(*moment)),
            _ => None,
        };
        let literal = literal.ok_or_else(|| self.fault(&format!("'{path}' is compared with {}", of.name())))?;
        self.at += 1;
        Ok(literal)
    }

    fn nested<T>(&mut self, read: fn(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault(&format!("a filter may be nested {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let read = read(self)?;
        self.depth -= 1;
        Ok(read)
    }

    fn count(&mut self) -> Result<(), Error> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(self.fault(&format!("a filter may have {MAX_NODES} conditions and connectives")));
        }
        Ok(())
    }
}

/// Words that OData has between two operands.
fn is_operator(word: &str) -> bool {
    Comparison::ALL.iter().any(|known| word.eq_ignore_ascii_case(known.word()))
        || ["in", "has", "add", "sub", "mul", "div", "divby", "mod"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

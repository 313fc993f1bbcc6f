import Events
import Testing

@Suite("JSON Schema")
struct JSONSchemaTests {
  private func schema(_ text: String) throws -> JSONSchema {
    try JSONSchema(try JSONTree(Array(text.utf8)))
  }

  private func tree(_ text: String) throws -> JSONTree { try JSONTree(Array(text.utf8)) }

  @Test(
    "values fit or do not, as the JSON Schema test suite has it",
    arguments: [
      // type
      (#"{"type":"integer"}"#, ["1", "1.0", "-0", "1e2"], ["1.1", #""1""#, "true", "null", "[]"]),
      (#"{"type":"number"}"#, ["1", "1.5", "-1e9"], [#""1""#, "true", "{}"]),
      (#"{"type":"string"}"#, [#""""#, #""a""#], ["1", "null"]),
      (#"{"type":["array","null"]}"#, ["[]", "null"], ["{}", "0"]),
      (#"{"type":"boolean"}"#, ["true", "false"], ["0", #""true""#]),
      // const and enum
      (#"{"const":2}"#, ["2", "2.0"], ["5", #""2""#]),
      (
        #"{"const":{"a":1,"b":[2]}}"#, [#"{"b":[2.0],"a":1}"#],
        [#"{"a":1}"#, #"{"a":1,"b":[2],"c":0}"#]
      ),
      (#"{"const":false}"#, ["false"], ["0", "[]", "null"]),
      (#"{"enum":["a",1,null,[1]]}"#, [#""a""#, "1.0", "null", "[1]"], [#""b""#, "true", "[]"]),
      // objects
      (
        #"{"properties":{"a":{"type":"integer"}}}"#, ["{}", #"{"a":1}"#, #"{"b":"x"}"#, "3", "[]"],
        [#"{"a":"x"}"#]
      ),
      (#"{"required":["a","b"]}"#, [#"{"a":1,"b":null}"#, "1"], [#"{"a":1}"#, "{}"]),
      (
        #"{"properties":{"a":{}},"additionalProperties":false}"#, [#"{"a":1}"#, "{}"],
        [#"{"b":1}"#, #"{"a":1,"b":2}"#]
      ),
      (
        #"{"properties":{"a":{}},"additionalProperties":{"type":"string"}}"#,
        [#"{"a":1,"b":"x"}"#], [#"{"b":1}"#]
      ),
      (
        #"{"patternProperties":{"^x_":{"type":"integer"}},"additionalProperties":false}"#,
        [#"{"x_a":1}"#, "{}"], [#"{"x_a":"1"}"#, #"{"y":1}"#]
      ),
      (#"{"properties":{"foo":false}}"#, [#"{"bar":1}"#], [#"{"foo":1}"#]),
      // arrays
      (
        #"{"items":{"type":"integer"},"minItems":1,"maxItems":2}"#, ["[1]", "[1,2]", #""x""#],
        ["[]", "[1,2,3]", #"["x"]"#]
      ),
      (#"{"items":false}"#, ["[]"], ["[1]"]),
      // texts
      (
        #"{"minLength":2,"maxLength":3}"#, [#""ab""#, #""😀😀""#, "1"],
        [#""a""#, #""abcd""#, #""😀""#]
      ),
      (#"{"pattern":"^a*$"}"#, [#""aaa""#, #""""#, "1"], [#""abc""#]),
      (#"{"pattern":"a+"}"#, [#""xxaayy""#], [#""xx""#]),
      // numbers
      (#"{"minimum":1.1}"#, ["1.1", "2", #""x""#], ["0.6"]),
      (#"{"exclusiveMinimum":1.1,"exclusiveMaximum":3}"#, ["1.2", "2.2"], ["1.1", "3", "3.5"]),
      (#"{"maximum":300}"#, ["299.97", "300", "-1e400"], ["300.5", "1e400"]),
      (#"{"multipleOf":2}"#, ["10", "-4", "0"], ["7", "2.5", "1e9223372036854775807"]),
      (#"{"multipleOf":0.5}"#, ["1.5", "1.5e-9223372036854775808"], ["0.3"]),
      (#"{"multipleOf":1.5}"#, ["0", "4.5"], ["35"]),
      (#"{"multipleOf":0.0001}"#, ["0.0075"], ["0.00751"]),
      (#"{"multipleOf":0.01}"#, ["19.99", "1e2", "123456789012.34"], ["19.999"]),
      // combinations
      (#"{"allOf":[{"minimum":1},{"maximum":3}]}"#, ["2"], ["0", "4"]),
      (#"{"anyOf":[{"type":"integer"},{"minimum":2}]}"#, ["1", "2.5", #""x""#], ["1.5"]),
      (#"{"oneOf":[{"type":"integer"},{"minimum":2}]}"#, ["1", "2.5"], ["3", "1.5"]),
      (#"{"not":{"type":["integer","boolean"]}}"#, [#""x""#, "1.5"], ["1", "true"]),
      ("true", ["1", "{}"], []), ("false", [], ["1", "{}"]), ("{}", ["1"], []),
      // references
      (
        ##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"integer"}},"minimum":3}"##, ["3"],
        ["2", #""x""#]
      ),
      (
        ##"{"properties":{"child":{"$ref":"#"},"v":{"type":"integer"}},"additionalProperties":false}"##,
        [#"{"child":{"child":{"v":1}}}"#],
        [#"{"child":{"child":{"v":"x"}}}"#, #"{"child":{"w":1}}"#]
      ),
      // formats
      (
        #"{"format":"date-time"}"#,
        [
          #""1963-06-19T08:30:06.283185Z""#, #""1990-12-31T23:59:60Z""#,
          #""1990-12-31t15:59:50.123-08:00""#,
          #""1998-12-31T15:59:60.123-08:00""#, "12",
        ],
        [
          #""1990-02-31T15:59:59Z""#, #""1990-12-31T15:59:59-24:00""#, #""1998-12-31T23:58:60Z""#,
          #""06/19/1963 08:30:06 PST""#, #""2013-350T01:01:01""#, #""1963-06-19T08:30:06""#,
          #""1963-06-19 08:30:06Z""#,
        ]
      ),
      (
        #"{"format":"email"}"#, [#""joe.bloggs@example.com""#, #""te~st@example.com""#, #""a@b""#],
        [#""2962""#, #""joe.bloggs.@example.com""#, #""te..st@example.com""#, #""a@-b""#, #""@b""#]
      ),
      (
        #"{"format":"uri"}"#,
        [#""http://foo.bar/?baz=qux#quux""#, #""urn:oasis:names:x""#, #""mailto:a@b""#],
        [
          #""//foo.bar/""#, #""/abc""#, #""\\\\WINDOWS\\x""#, #""http:// shouldfail.com""#,
          #""a:%zz""#,
          #""bar,baz:foo""#,
        ]
      ),
      (
        #"{"format":"uuid"}"#, [#""2EB8AA08-AA98-11EA-B4AA-73B441D16380""#],
        [
          #""2eb8aa08-aa98-11ea-b4aa-73b441d1638""#, #""2eb8aa08aa9811eab4aa73b441d163800000""#,
          #""2eb8aa08-aa98-11ea-b4ga-73b441d16380""#,
        ]
      ),
    ] as [(String, [String], [String])])
  func suite(text: String, fitting: [String], others: [String]) throws {
    let schema = try schema(text)
    for value in fitting {
      #expect(schema.violation(of: try tree(value)) == nil, "\(value)")
    }
    for value in others {
      #expect(schema.violation(of: try tree(value)) != nil, "\(value)")
    }
  }

  @Test("a violation names where it is, what was expected and the fix, and none of the value")
  func violation() throws {
    let schema = try schema(
      #"{"properties":{"products":{"items":{"properties":{"price":{"type":"number"}},"additionalProperties":false}}}}"#
    )
    #expect(
      schema.violation(of: try tree(#"{"products":[{},{"price":"secret"}]}"#))
        == SchemaViolation(
          path: "$.products[1].price", expected: "a number", fix: "send a number"))
    let odd = try #require(
      schema.violation(of: try tree(#"{"products":[{"ann@example.org":1}]}"#)))
    #expect(odd.path == "$.products[0][…]")
    #expect(odd.expected == "no property but price")
  }

  @Test(
    "what is wrong with a schema is named by its place",
    arguments: [
      (#"{"type":"text"}"#, "/type", "is no type"),
      (
        #"{"properties":{"a":{"uniqueItems":true}}}"#, "/properties/a/uniqueItems",
        "is a keyword that is not supported"
      ),
      (#"{"allOf":[{},{"minimum":"1"}]}"#, "/allOf/1/minimum", "is no number"),
      (
        #"{"properties":{"a/b":{"pattern":"(?=x)"}}}"#, "/properties/a~1b/pattern",
        "is a pattern that looks around with (?, which takes too long; use plain groups"
      ),
      (##"{"$ref":"#/$defs/x"}"##, "/$ref", "leads nowhere"),
      (#"{"format":"ipv4"}"#, "/format", "is a format that is not supported"),
      (#"{"multipleOf":0}"#, "/multipleOf", "is no step"),
      (#"{"minLength":-1}"#, "/minLength", "is no count"),
      (#"{"enum":[]}"#, "/enum", "is no list"),
      (#"{"items":7}"#, "/items", "is no schema"),
      (##"{"allOf":[{"$ref":"#"}]}"##, "", "needs itself to say what it means (schema 0)"),
    ])
  func problems(text: String, pointer: String, what: String) throws {
    let tree = try tree(text)
    let problem = #expect(throws: SchemaProblem.self) { try JSONSchema(tree) }
    #expect(problem?.pointer == pointer && problem?.what == what, "\(String(describing: problem))")
  }

  @Test(
    "patterns match as ECMA-262 has it",
    arguments: [
      ("abc", ["xabcx"], ["ab"]), ("^abc$", ["abc"], ["abcd", "xabc"]),
      ("^(a|bc)+$", ["a", "bcabc"], ["", "b"]), ("^a{2,3}$", ["aa", "aaa"], ["a", "aaaa"]),
      ("^a{2}$", ["aa"], ["aaa"]), ("^a{2,}b?$", ["aaaa", "aab"], ["ab"]),
      (#"^\d{3}-\w+$"#, ["123-a_b"], ["12-a", "123-é"]), ("^[a-c_-]+$", ["a-b_"], ["d"]),
      (#"^[^\s@]+@[^\s@]+$"#, ["a@b"], ["a b@c", "a@b@c"]), ("^.$", ["é", "😀"], ["\n", "ab"]),
      (#"^\u00e9\x41$"#, ["éA"], ["eA"]), (#"^\S*$"#, ["", "ab"], ["a b"]),
      ("^(?:x|(?<n>y))z$", ["xz", "yz"], ["z"]), ("a*?b", ["aab"], ["aa"]), ("", ["", "x"], []),
      (#"^\$\.$"#, ["$."], ["$x"]), ("x|^$", ["", "ax"], ["a"]), ("^(a*)*$", ["aaa", ""], ["b"]),
      (#"^[\d\-x]+$"#, ["1-x"], ["a"]), (#"^[^\D]+$"#, ["12"], ["a"]),
    ] as [(String, [String], [String])])
  func patterns(text: String, matching: [String], others: [String]) throws {
    let pattern = try SchemaPattern(text)
    for text in matching { #expect(pattern.matches(text), "\(text)") }
    for text in others { #expect(!pattern.matches(text), "\(text)") }
  }

  @Test(
    "what is no pattern, or none of linear time, is refused",
    arguments: [
      "(", ")", "[a", "a{2", "a{3,2}", "*a", "a**", #"\"#, #"(a)\1"#, "(?=a)", "(?!a)", "(?<=a)b",
      #"\p{L}"#, "[z-a]", "a{1001}", "(((a{20}){20}){20})", "{", "]",
    ])
  func malformed(text: String) {
    #expect(throws: SchemaPattern.Malformed.self) { try SchemaPattern(text) }
  }

  @Test("a pattern that would take a backtracking matcher for ever is done at once")
  func linear() throws {
    let pattern = try SchemaPattern("^(a+)+$")
    #expect(!pattern.matches(String(repeating: "a", count: 4000) + "b"))
    // Beyond the limit nothing matches.
    #expect(!pattern.matches(String(repeating: "a", count: 4097)))
  }

  @Test("values that are marked as personal are named by their paths")
  func personal() throws {
    let schema = try schema(
      #"""
      {"properties":{"email":{"x-personal":true},"friends":{"items":{"$ref":"#/$defs/p"}}},
      "$defs":{"p":{"properties":{"name":{"x-personal":true},"next":{"$ref":"#/$defs/p"}}}}}
      """#)
    #expect(schema.personalPaths == [["email"], ["friends", "*", "name"]])
  }
}

@Suite("Schemas of events")
struct EventSchemaTests {
  private func read(_ text: String, named name: String = "file") -> (EventSchema?, [SchemaProblem])
  {
    let (schema, problems) = EventSchema.read(Array(text.utf8), named: name)
    return (schema, problems)
  }

  @Test("event and version come from members or from the name of the file")
  func names() throws {
    let named = try #require(read("{}", named: "Order Completed.v3").0)
    #expect(named.event == "Order Completed" && named.version == 3)
    let stated = try #require(read(#"{"x-event":"E","x-version":2}"#, named: "x.v9").0)
    #expect(stated.event == "E" && stated.version == 2)
    #expect(read("{}", named: "plain").0?.version == 1)
  }

  @Test(
    "problems of a file name their place",
    arguments: [
      ("[", ""), ("[]", ""), (#"{"x-event":1}"#, "/x-event"), (#"{"x-version":0}"#, "/x-version"),
      (#"{"x-upcast":{}}"#, "/x-upcast"),
      (#"{"x-upcast":[{"op":"drop","path":"/a"}]}"#, "/x-upcast/0"),
      (#"{"x-upcast":[{"op":"move","path":"/a","to":"/a/b"}]}"#, "/x-upcast/0"),
      (#"{"properties":{"a":{"x-event":"E"}}}"#, "/properties/a/x-event"),
    ])
  func problems(text: String, pointer: String) {
    let (schema, problems) = read(text)
    #expect(schema == nil && problems.map(\.pointer) == [pointer], "\(problems)")
  }

  @Test("versions of one event follow each other, each with its upcast")
  func versions() throws {
    func problems(_ texts: String...) throws -> [String] {
      let schemas = try texts.map { try #require(read($0).0) }
      return EventSchemas.problems(of: schemas).map { "\($0.index) \($0.problem.pointer)" }
    }
    let first = #"{"x-event":"E","x-version":1}"#
    let second = #"{"x-event":"E","x-version":2,"x-upcast":[]}"#
    #expect(try problems(first, second) == [])
    #expect(try problems(first, first) == ["1 /x-version"])
    #expect(try problems(first, #"{"x-event":"E","x-version":2}"#) == ["1 /x-upcast"])
    #expect(
      try problems(#"{"x-event":"E","x-version":3,"x-upcast":[]}"#, first) == ["0 /x-version"])
  }

  @Test("an upcast moves, renames and fills in, in its order")
  func upcast() throws {
    let (schema, _) = read(
      #"""
      {"x-upcast":[{"op":"rename","path":"/a","to":"b"},{"op":"move","path":"/b","to":"/deep/c"},
      {"op":"move","path":"/none","to":"/b"},{"op":"default","path":"/deep/d","value":[1]},
      {"op":"default","path":"/deep/c","value":0}]}
      """#)
    var value = try JSONTree(Array(#"{"a":5,"x":1}"#.utf8))
    try #require(schema?.upcast).apply(to: &value)
    #expect(String(decoding: value.bytes, as: UTF8.self) == #"{"x":1,"deep":{"c":5,"d":[1]}}"#)
  }
}

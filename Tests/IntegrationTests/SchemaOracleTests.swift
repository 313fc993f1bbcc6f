import Events
import Foundation
import Testing

/// The validator of event schemas beside Python's jsonschema, which the draft's authors maintain.
@Suite(
  "Schemas beside jsonschema",
  .enabled(if: SDKPython.has("jsonschema"), Comment(rawValue: SDKPython.missing)))
struct SchemaOracleTests {
  private static let caseCount = 4000

  @Test("random schemas and values get the verdicts that jsonschema gives")
  func verdicts() async throws {
    let seed = UInt64.random(in: .min ... .max)
    var generator = SchemaGenerator(state: seed)
    var lines = ""
    var own: [Character] = []
    for _ in 0..<Self.caseCount {
      let schema = generator.schema(depth: 3)
      let instance = generator.value(depth: 3)
      lines += #"{"schema":\#(schema),"instance":\#(instance)}"# + "\n"
      let read = try JSONSchema(try JSONTree(Array(schema.utf8)))
      own.append(read.violation(of: try JSONTree(Array(instance.utf8))) == nil ? "1" : "0")
    }
    let file = try TemporaryFolder.make("schemas") + "/cases"
    try lines.write(toFile: file, atomically: true, encoding: .utf8)
    let run = try SDKPython.start(client: "schema_verdicts.py", [file])
    let code = try await run.end(withinMs: 120_000)
    let said = try run.text
    try #require(code == 0, "\(said.suffix(2000))")
    let others = Array(try run.lastLine)
    try #require(others.count == own.count)
    let cases = lines.split(separator: "\n")
    for (index, verdict) in own.enumerated() where verdict != others[index] {
      Issue.record("seed \(seed): jsonschema says \(others[index]) of \(cases[index])")
    }
    // Verdicts that are all the same would prove nothing.
    let fitting = own.count { $0 == "1" }
    #expect((Self.caseCount / 10...Self.caseCount * 9 / 10).contains(fitting), "\(fitting)")
  }
}

/// Random schemas of what is supported, and values that are near them: the same for the same seed.
private struct SchemaGenerator {
  var state: UInt64

  private static let names = ["a", "b", "x_1", "é"]
  private static let texts = [#""""#, #""a""#, #""ab""#, #""😀é""#, #""12""#, #""aab""#]
  private static let numbers = ["0", "1", "-1", "2.5", "3", "3.0", "10", "1e1", "-0.5"]
  private static let patterns = ["^a", "b$", "^[ab]*$", "^\\\\d+$", "a|1", "^.{2}$", "^x_"]

  private mutating func below(_ bound: Int) -> Int {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return Int(state >> 33) % bound
  }

  private mutating func one(of all: [String]) -> String { all[below(all.count)] }

  private mutating func list(_ range: ClosedRange<Int>, _ make: (inout Self) -> String) -> String {
    let count = range.lowerBound + below(range.count)
    return "[" + (0..<count).map { _ in make(&self) }.joined(separator: ",") + "]"
  }

  mutating func value(depth: Int) -> String {
    switch below(depth > 0 ? 8 : 5) {
    case 0: return one(of: ["null", "true", "false"])
    case 1, 2: return one(of: Self.numbers)
    case 3, 4: return one(of: Self.texts)
    case 5: return list(0...3) { $0.value(depth: depth - 1) }
    default: return object { $0.value(depth: depth - 1) }
    }
  }

  private mutating func object(_ make: (inout Self) -> String) -> String {
    var members: [String] = []
    for name in Self.names where below(2) == 0 { members.append("\"\(name)\":\(make(&self))") }
    return "{" + members.joined(separator: ",") + "}"
  }

  mutating func schema(depth: Int) -> String {
    if below(12) == 0 { return below(4) == 0 ? "false" : "true" }
    var members: [String: String] = [:]
    for _ in 0..<1 + below(3) {
      let (name, value) = keyword(depth: depth)
      members[name] = value
    }
    if depth == 3, below(3) == 0 {
      members["$defs"] = #"{"d":\#(schema(depth: 1))}"#
      members["properties"] = ##"{"a":{"$ref":"#/$defs/d"},"b":{"$ref":"#"}}"##
    }
    let all = members.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\($0.value)" }
    return "{" + all.joined(separator: ",") + "}"
  }

  private mutating func keyword(depth: Int) -> (String, String) {
    let types = ["null", "boolean", "object", "array", "number", "string", "integer"]
    switch below(depth > 0 ? 22 : 14) {
    case 0: return ("type", "\"\(one(of: types))\"")
    case 1:
      let first = below(types.count)
      return ("type", "[\"\(types[first])\",\"\(types[(first + 1 + below(6)) % 7])\"]")
    case 2: return ("const", value(depth: 1))
    case 3: return ("enum", list(1...4) { $0.value(depth: 1) })
    case 4: return ("required", "[\"\(one(of: Self.names))\"]")
    case 5: return ("minItems", "\(below(3))")
    case 6: return ("maxItems", "\(below(3))")
    case 7: return ("minLength", "\(below(3))")
    case 8: return ("maxLength", "\(below(3))")
    case 9: return ("pattern", "\"\(one(of: Self.patterns))\"")
    case 10: return ("minimum", one(of: Self.numbers))
    case 11: return ("exclusiveMaximum", one(of: Self.numbers))
    case 12: return ("multipleOf", one(of: ["1", "2", "0.5", "2.5"]))
    case 13: return (one(of: ["maximum", "exclusiveMinimum"]), one(of: Self.numbers))
    case 14, 15: return ("properties", object { $0.schema(depth: depth - 1) })
    case 16: return ("additionalProperties", schema(depth: depth - 1))
    case 17:
      return ("patternProperties", #"{"\#(one(of: Self.patterns))":\#(schema(depth: depth - 1))}"#)
    case 18: return ("items", schema(depth: depth - 1))
    case 19: return ("not", schema(depth: depth - 1))
    default:
      let name = one(of: ["allOf", "anyOf", "oneOf"])
      return (name, list(1...3) { $0.schema(depth: depth - 1) })
    }
  }
}

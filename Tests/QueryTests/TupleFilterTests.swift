import Events
import Ports
import Testing
import Views

@Suite("Rows are chosen by the bytes of their tuples")
struct TupleFilterTests {
  private static let tuple = DimensionTuple(
    site: "s", campaign: "c", content: "x", currency: "EUR", traffic: "bot")

  private func filter(_ site: String, _ filters: [DimensionFilter]) -> TupleFilter {
    TupleFilter(
      ViewSelection(site: site, segments: [], filters: filters, groupBy: [], buckets: []))
  }

  private func admits(_ filter: TupleFilter, _ bytes: [UInt8]) -> Bool {
    bytes.withUnsafeBytes { filter.admits($0) }
  }

  @Test(
    "a tuple of another site or without a named value does not pass",
    arguments: [
      ("s", [], true), ("t", [], false), ("", [], false),
      ("s", [(Dimension.campaign, ["c"])], true), ("s", [(.campaign, ["b", "c"])], true),
      ("s", [(.campaign, ["cc"])], false), ("s", [(.campaign, ["C"])], false),
      ("s", [(.campaign, [])], false), ("s", [(.variant, [""])], true),
      ("s", [(.variant, ["c"])], false), ("s", [(.content, ["x"]), (.campaign, ["c"])], true),
      ("s", [(.content, ["y"]), (.campaign, ["c"])], false),
      ("s", [(.campaign, ["c", "d"]), (.campaign, ["c", "e"])], true),
      ("s", [(.campaign, ["c"]), (.campaign, ["d"])], false),
      ("s", [(.traffic, ["bot"])], true), ("s", [(.traffic, [""])], false),
    ] as [(String, [(Dimension, [String])], Bool)])
  func named(site: String, wanted: [(Dimension, [String])], passes: Bool) {
    let filters = wanted.map {
      DimensionFilter(operation: .isAnyOf, dimension: $0.0, values: $0.1)
    }
    #expect(admits(filter(site, filters), Self.tuple.encoded) == passes)
  }

  @Test("what does not stand in the encoding of a tuple is empty")
  func absent() {
    let people = DimensionTuple(site: "s").encoded
    func traffic(_ value: String) -> TupleFilter {
      filter("s", [DimensionFilter(operation: .isAnyOf, dimension: .traffic, values: [value])])
    }
    #expect(admits(traffic(""), people))
    #expect(!admits(traffic("bot"), people))
  }

  @Test("filters that bytes alone do not decide let everything of the site pass")
  func undecided() {
    for operation in [DimensionFilter.Operation.isNoneOf, .contains] {
      let filter = filter(
        "s", [DimensionFilter(operation: operation, dimension: .campaign, values: ["c"])])
      #expect(admits(filter, Self.tuple.encoded))
    }
    #expect(admits(.everything, DimensionTuple(site: "t").encoded))
  }

  @Test("bytes that are no tuple pass, so that they are found")
  func malformed() {
    let encoded = DimensionTuple(site: "t").encoded
    for count in 1..<encoded.count {
      #expect(admits(filter("s", []), Array(encoded.prefix(count))), "\(count) bytes")
    }
    #expect(admits(filter("s", []), encoded + [0, 0, 0, 0]))
  }
}

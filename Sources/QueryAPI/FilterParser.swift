import Analyses
import Events
import HTTPServer
import Ports

/// Reads `filters`: what holds of everything that counts.
///
///     [["is","campaign",["a","b"]],["or",[["is","country",["DE"]],["is","device",["mobile"]]]]]
///
/// The filters of the list all hold, and those of an `and`; of an `or` one does. However they are nested, what is read
/// are conditions of which all hold, each by one of its filters: an `and` within an `or` is multiplied out.
struct FilterParser {
  /// As it was asked for; what its dimension is called is not looked at yet.
  struct Filter {
    var operation: DimensionFilter.Operation
    var dimension: String
    var values: [String]
    /// Of the dimension.
    var path: String
  }

  private static let groups = ["and", "or"]

  private var count = 0

  /// - Parameter read: makes a filter of what was asked for.
  static func conditions<Made>(
    _ value: JSONValue, path: String, _ read: (Filter) throws(QueryError) -> Made
  ) throws(QueryError) -> (all: [Made], alternatives: [[Made]]) {
    var parser = FilterParser()
    let conditions = try parser.list(value, path: path)
    try check(conditions, path: path)
    var all: [Made] = []
    var alternatives: [[Made]] = []
    for condition in conditions {
      var made: [Made] = []
      for filter in condition { made.append(try read(filter)) }
      if made.count == 1 { all += made } else { alternatives.append(made) }
    }
    return (all, alternatives)
  }

  /// The names that stand where filters have their dimensions, of whatever it is.
  static func dimensionNames(_ value: JSONValue?) -> [String] {
    guard case .array(let items) = value else { return [] }
    return items.flatMap { item -> [String] in
      guard case .array(let parts) = item, parts.count > 1, case .string(let name) = parts[0]
      else { return [] }
      if groups.contains(name) { return dimensionNames(parts[1]) }
      if case .string(let dimension) = parts[1] { return [dimension] }
      return []
    }
  }

  private static func check(_ conditions: [[Filter]], path: String) throws(QueryError) {
    let count = conditions.count { $0.count > 1 }
    guard count <= QueryRequest.alternativesMax else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "with each `and` within an `or` multiplied out there are \(count) times one of "
          + "several filters, more than \(QueryRequest.alternativesMax); ask with fewer")
    }
  }

  private mutating func list(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> [[Filter]] {
    guard case .array(let items) = value else {
      throw QueryError(.invalidValue, path: path, detail: "\(value.kind) is not a list of filters")
    }
    var conditions: [[Filter]] = []
    for (index, item) in items.enumerated() {
      conditions += try self.conditions(item, path: "\(path)[\(index)]")
    }
    return conditions
  }

  /// Of one filter, or of those inside an `and` or `or`.
  private mutating func conditions(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> [[Filter]] {
    guard case .array(let parts) = value, let first = parts.first else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "a filter is a list such as [\"is\", \"campaign\", [\"spring\"]]")
    }
    let name = try first.text(path: path + "[0]")
    if Self.groups.contains(name) {
      guard parts.count == 2 else {
        throw QueryError(
          .invalidValue, path: path,
          detail: "\(name) takes a list of filters, as in "
            + "[\"\(name)\", [[\"is\", \"campaign\", [\"spring\"]]]]")
      }
      return name == "and"
        ? try list(parts[1], path: path + "[1]") : try anyOf(parts[1], path: path + "[1]")
    }
    return [[try filter(parts, named: name, path: path)]]
  }

  /// One of these holds: each condition of one with each of the others.
  private mutating func anyOf(
    _ value: JSONValue, path: String
  ) throws(QueryError) -> [[Filter]] {
    guard case .array(let items) = value, !items.isEmpty else {
      throw QueryError(
        .invalidValue, path: path, detail: "an `or` has at least one filter, of which one holds")
    }
    var product: [[Filter]] = [[]]
    for (index, item) in items.enumerated() {
      let conditions = try self.conditions(item, path: "\(path)[\(index)]")
      product = product.flatMap { before in conditions.map { before + $0 } }
      try Self.check(product, path: path)
    }
    return product
  }

  private mutating func filter(
    _ parts: [JSONValue], named name: String, path: String
  ) throws(QueryError) -> Filter {
    guard let operation = DimensionFilter.Operation(rawValue: name) else {
      throw QueryError(
        .invalidValue, path: path + "[0]", detail: "\"\(name)\" is not an operation here",
        allowed: DimensionFilter.Operation.allCases.map(\.rawValue) + Self.groups)
    }
    guard parts.count == 3 else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "\(name) takes a dimension and a list of values, as in "
          + "[\"\(name)\", \"campaign\", [\"spring\"]]")
    }
    let dimension = try parts[1].text(path: path + "[1]")
    let values = try parts[2].texts(path: path + "[2]")
    guard (1...QueryRequest.filterValueCountMax).contains(values.count) else {
      throw QueryError(
        .invalidValue, path: path + "[2]",
        detail: "a filter has 1 to \(QueryRequest.filterValueCountMax) values")
    }
    for (index, value) in values.enumerated() where value.utf8.contains(0) {
      throw QueryError(
        .invalidValue, path: path + "[2][\(index)]", detail: "values have no NUL character")
    }
    count += 1
    guard count <= QueryRequest.filterCountMax else {
      throw QueryError(
        .invalidValue, path: path,
        detail: "there are more than \(QueryRequest.filterCountMax) filters")
    }
    return Filter(operation: operation, dimension: dimension, values: values, path: path + "[1]")
  }
}

/// A filter as answers repeat it.
struct FilterText {
  var operation: DimensionFilter.Operation
  var dimension: String
  var values: [String]

  /// Appends `["is","campaign",["a"]]` for each, and `["or",[…]]` for each list of alternatives.
  static func write(
    _ all: [FilterText], _ alternatives: [[FilterText]], to output: inout [UInt8]
  ) {
    output.append(UInt8(ascii: "["))
    write(all, to: &output)
    for (index, filters) in alternatives.enumerated() {
      if index > 0 || !all.isEmpty { output.append(UInt8(ascii: ",")) }
      output.append(contentsOf: #"["or",["#.utf8)
      write(filters, to: &output)
      output.append(contentsOf: "]]".utf8)
    }
    output.append(UInt8(ascii: "]"))
  }

  private static func write(_ filters: [FilterText], to output: inout [UInt8]) {
    for (index, filter) in filters.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      output.append(contentsOf: #"["\#(filter.operation.rawValue)","#.utf8)
      JSONText.append(filter.dimension, to: &output)
      output.append(contentsOf: ",[".utf8)
      for (place, value) in filter.values.enumerated() {
        if place > 0 { output.append(UInt8(ascii: ",")) }
        JSONText.append(value, to: &output)
      }
      output.append(contentsOf: "]]".utf8)
    }
  }
}

extension DimensionFilter {
  var text: FilterText {
    FilterText(operation: operation, dimension: dimension.name, values: values)
  }
}

extension BreakdownFilter {
  var text: FilterText {
    let operation: DimensionFilter.Operation =
      switch test {
      case .isAnyOf: .isAnyOf
      case .isNoneOf: .isNoneOf
      case .contains: .contains
      }
    return FilterText(
      operation: operation, dimension: dimension.name,
      values: values.map { String(decoding: $0, as: UTF8.self) })
  }
}

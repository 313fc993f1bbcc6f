import Events
import Ports
import Views

/// Which group of a selection each tuple belongs to: found at its first row, by the codes of its values.
struct TupleGroups {
  struct Group {
    var dimensions: DimensionValues
    var currency: String
  }

  private typealias Codes = TupleColumns.Codes

  /// Groups are places in ``groups``; below 0 is what belongs to none.
  static let unwanted = -1
  static let unreadable = -2
  private static let unknown: Int32 = -3

  private let selection: ViewSelection
  private let tuples: TupleColumns
  private var found: [Int32]
  /// By dimension, which values pass; nil where all do.
  private var passing: [[Bool]?]
  /// Lists of dimensions with the values that pass: of each list one is enough.
  private let alternatives: [[(place: Int, passing: [Bool])]]
  /// All ones in the places of what tells groups apart.
  private let mask: Codes
  private var places: [Codes: Int32] = [:]
  private(set) var groups: [Group] = []

  init(_ selection: ViewSelection, _ tuples: TupleColumns) {
    self.selection = selection
    self.tuples = tuples
    found = Array(repeating: Self.unknown, count: tuples.codes.count)
    passing = Array(repeating: nil, count: Dimension.allCases.count)
    var mask = Codes(repeating: 0)
    for dimension in selection.groupBy + [.currency] { mask[dimension.rawValue] = -1 }
    self.mask = mask
    func passes(_ filter: DimensionFilter) -> [Bool] {
      tuples.values[filter.dimension.rawValue].map(filter.admits)
    }
    alternatives = selection.alternatives.map { filters in
      filters.map { ($0.dimension.rawValue, passes($0)) }
    }
    let site = DimensionFilter(operation: .isAnyOf, dimension: .site, values: [selection.site])
    for filter in selection.filters + [site] {
      let place = filter.dimension.rawValue
      let known = passing[place]
      passing[place] = passes(filter).enumerated().map { code, passes in
        (known?[code] ?? true) && passes
      }
    }
  }

  /// - Parameter place: of a tuple.
  mutating func group(ofTupleAt place: Int32) -> Int {
    let known = found[Int(place)]
    if known != Self.unknown { return Int(known) }
    let group = look(tuples.codes[Int(place)])
    found[Int(place)] = group
    return Int(group)
  }

  private mutating func look(_ codes: Codes) -> Int32 {
    if codes == TupleColumns.unreadable { return Int32(Self.unreadable) }
    for (dimension, passing) in passing.enumerated() {
      if let passing, !passing[Int(codes[dimension])] { return Int32(Self.unwanted) }
    }
    for filters in alternatives
    where !filters.contains(where: { $0.passing[Int(codes[$0.place])] }) {
      return Int32(Self.unwanted)
    }
    let key = codes & mask
    if let group = places[key] { return group }
    let group = Int32(groups.count)
    places[key] = group
    groups.append(
      Group(
        dimensions: DimensionValues(selection.groupBy.map { tuples.text($0, codes) }),
        currency: tuples.text(.currency, codes)))
    return group
  }
}

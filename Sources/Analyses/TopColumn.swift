import Events

/// The values of one dimension whose most frequent ones are looked for, by the numbers that sketches count them by.
///
/// What frames have in their dictionaries is looked up once a frame.
final class TopColumn {
  private let dimension: BreakdownDimension
  private let segments: SegmentHistory
  private var names = TopTexts()
  /// By place in the dictionary of the current frame.
  private var known: [Known] = []
  private var text: [UInt8] = []
  /// Of the event that was looked at last.
  private(set) var ids: [UInt64] = []

  private enum Known {
    case notYet, nothing
    case id(UInt64)
  }

  init(_ dimension: BreakdownDimension, _ segments: SegmentHistory) {
    self.dimension = dimension
    self.segments = segments
  }

  func begin(_ frame: FrameView) {
    known.removeAll(keepingCapacity: true)
    switch dimension.part {
    case .tuple: known.append(contentsOf: repeatElement(.notYet, count: frame.tupleCount))
    case .agent, .name:
      known.append(contentsOf: repeatElement(.notYet, count: frame.labelCount + 1))
    case .payload, .segment, .time: break
    }
  }

  /// Finds the numbers of an event's values: several where it is of several segments, none where there is no value.
  ///
  /// - Parameters:
  ///   - set: the person's segments, see ``SegmentHistory``.
  ///   - payloads: has read the event's.
  func find(
    in frame: FrameView, _ index: Int, _ set: Int, _ payloads: inout PayloadValues
  ) {
    ids.removeAll(keepingCapacity: true)
    switch dimension.part {
    case .tuple:
      let tuple = frame.tuple(index)
      look(up: tuple) {
        $0.append(contentsOf: TupleFields(frame.tupleBytes(tuple)).value(of: dimension))
        return true
      }
    case .agent:
      let label = frame.agentLabel(index)
      look(up: label + 1) {
        guard label >= 0 else { return false }
        EventDimensions.append(
          dimension, Agent(label: String(decoding: frame.label(label), as: UTF8.self)), to: &$0)
        return !$0.isEmpty
      }
    case .name:
      let label = frame.nameLabel(index)
      look(up: label) {
        $0.append(contentsOf: frame.label(label))
        return true
      }
    case .payload:
      text.removeAll(keepingCapacity: true)
      payloads.append(dimension, of: frame.payload(index), to: &text)
      if !text.isEmpty { ids.append(names.id(of: text)) }
    case .segment:
      for segment in segments.sets[set] {
        ids.append(names.id(of: Array(segments.segments[segment].utf8)))
      }
    case .time: break
    }
  }

  /// - Parameter append: appends the value at a place; false where there is none.
  private func look(up place: Int, _ append: (inout [UInt8]) -> Bool) {
    if case .notYet = known[place] {
      text.removeAll(keepingCapacity: true)
      known[place] = append(&text) ? .id(names.id(of: text)) : .nothing
    }
    if case .id(let id) = known[place] { ids.append(id) }
  }

  func merge(_ other: TopColumn) { names.merge(other.names) }

  /// The texts of some numbers.
  func texts(of wanted: Set<UInt64>) -> [UInt64: String] { names.texts(of: wanted) }
}

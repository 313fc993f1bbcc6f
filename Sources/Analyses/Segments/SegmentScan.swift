public import Events
public import Operators

/// Collects what the log says of who entered and left segments, for questions that ask by them.
///
/// It comes before the question: a user's changes are in another stream than what is done on the user's devices. Who
/// entered long ago may still be in; but who is in is told of again before that is forgotten (``SegmentHistory``), so
/// that the log is read from as long before the question.
public final class SegmentScan: Analysis {
  public let times: Range<Int64>
  private let site: [UInt8]
  private let memory: Int64?
  private var changes: [SegmentHistory.Change] = []
  private var segments = TextTable(countMax: SegmentScan.segmentCountMax)

  /// Changes that are kept, 48 bytes each.
  public static let changeCountMax = 4_000_000
  /// Segments that have ever been; of one that is one too many nothing is known.
  public static let segmentCountMax = 1_024

  /// - Parameters:
  ///   - times: of the question's events, microseconds since the epoch.
  ///   - memory: how long what is said of a person holds, microseconds; nil for ever.
  public init(site: String, for times: Range<Int64>, memory: Int64?) {
    self.site = Array(site.utf8)
    self.memory = memory
    let (from, isBefore) = times.lowerBound.subtractingReportingOverflow(memory ?? .max)
    self.times = (isBefore || memory == nil ? .min : from)..<times.upperBound
  }

  public func add(
    _ frame: FrameView, _ counted: borrowing CountedEvents, at moment: FrameMoment
  ) throws(AnalysisError) {
    for number in 0..<counted.count {
      let index = counted.index(number)
      guard frame.kind(index) == EventKind.segment.rawValue else { continue }
      let fields = TupleFields(frame.tupleBytes(frame.tuple(index)))
      guard fields.isValid, fields[.site].elementsEqual(site) else { continue }
      take(frame.payload(index), of: frame.person(index), at: counted.time(number))
    }
    try checkCount()
  }

  public func merge(_ other: SegmentScan) throws(AnalysisError) {
    let numbers = (0..<other.segments.count).map { number in
      other.segments.withText(number) { segments.intern($0) }
    }
    for change in other.changes {
      guard let segment = numbers[Int(change.segment)] else { continue }
      changes.append(change)
      changes[changes.count - 1].segment = UInt32(segment)
    }
    try checkCount()
  }

  public func history() -> SegmentHistory {
    let texts = (0..<segments.count).map { segments.text($0) }
    let order = texts.indices.sorted { texts[$0].lexicographicallyPrecedes(texts[$1]) }
    var places = [UInt32](repeating: 0, count: texts.count)
    for (place, number) in order.enumerated() { places[number] = UInt32(place) }
    var changes = changes
    for index in changes.indices { changes[index].segment = places[Int(changes[index].segment)] }
    return SegmentHistory(
      changes, segments: order.map { String(decoding: texts[$0], as: UTF8.self) },
      memory: memory)
  }

  private func checkCount() throws(AnalysisError) {
    guard changes.count <= Self.changeCountMax else {
      throw .full(
        what: "changes of segments", max: Self.changeCountMax,
        advice: "ask about an earlier time, or without segments")
    }
  }

  private func take(_ payload: UnsafeRawBufferPointer, of person: Key128, at time: Int64) {
    guard let (segment, change, number) = Self.change(in: payload),
      let place = Array(segment.utf8).withUnsafeBytes({ segments.intern($0) })
    else { return }
    changes.append(
      SegmentHistory.Change(
        person: person, at: time, number: number, segment: UInt32(place), isIn: change != "left"))
  }

  /// What an event says, such as `{"segment":"customer","change":"entered","number":1}`; nil of what is no such thing.
  static func change(
    in payload: UnsafeRawBufferPointer
  ) -> (segment: String, change: String, number: UInt64)? {
    var json = JSONScanner(payload)
    var (segment, change, number) = ("", "", UInt64(0))
    do throws(JSONError) {
      try json.beginObject()
      while let key = try json.nextKey() {
        switch key {
        case "segment": segment = try json.string()
        case "change": change = try json.string()
        case "number": number = UInt64(clamping: try json.int64())
        default: try json.skipValue()
        }
      }
    } catch {
      return nil
    }
    return ["entered", "left", "stayed"].contains(change) ? (segment, change, number) : nil
  }
}

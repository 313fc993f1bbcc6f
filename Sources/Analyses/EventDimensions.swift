import Events

/// The values that single events have for any of the dimensions, for questions that look at few events.
///
/// Of segments the value is the number of the set that the person was in (``SegmentHistory``), as four bytes.
struct EventDimensions {
  private var payloads: PayloadValues
  private var hours: HourOfWeek
  private let segments: SegmentHistory
  /// Of the labels of the current frame; the first is that of no agent.
  private var agents: [Agent??] = []
  /// Whether the payload of the current event has been read.
  private var hasRead = false

  init(
    _ dimensions: [BreakdownDimension], offsets: [BreakdownQuestion.ZoneOffset],
    segments: SegmentHistory
  ) {
    payloads = PayloadValues(dimensions)
    hours = HourOfWeek(isNeeded: dimensions.contains(.hourOfWeek), offsets: offsets)
    self.segments = segments
  }

  mutating func begin(_ frame: FrameView) {
    agents = Array(repeating: nil, count: frame.labelCount + 1)
    hasRead = false
  }

  /// Another event of the frame comes.
  mutating func next() { hasRead = false }

  /// Appends the value of a dimension.
  ///
  /// - Parameter time: of the event, corrected.
  mutating func append(
    _ dimension: BreakdownDimension, of frame: FrameView, _ index: Int, at time: Int64,
    to output: inout [UInt8]
  ) {
    switch dimension.part {
    case .tuple:
      output.append(
        contentsOf: TupleFields(frame.tupleBytes(frame.tuple(index))).value(of: dimension))
    case .agent: Self.append(dimension, agent(frame, frame.agentLabel(index)), to: &output)
    case .name: output.append(contentsOf: frame.label(frame.nameLabel(index)))
    case .time: output.append(contentsOf: HourOfWeek.text(Int(hours.number(at: time))).utf8)
    case .segment:
      let set = UInt32(segments.set(of: frame, index, at: time))
      withUnsafeBytes(of: set.littleEndian) { output.append(contentsOf: $0) }
    case .payload:
      let payload = frame.payload(index)
      if !hasRead {
        payloads.read(payload, kind: frame.kind(index))
        hasRead = true
      }
      payloads.append(dimension, of: payload, to: &output)
    }
  }

  private mutating func agent(_ frame: FrameView, _ label: Int) -> Agent? {
    if let known = agents[label + 1] { return known }
    let agent =
      label < 0 ? nil : Agent(label: String(decoding: frame.label(label), as: UTF8.self))
    agents[label + 1] = .some(agent)
    return agent
  }

  /// Appends what an agent says; nothing where there is none.
  static func append(
    _ dimension: BreakdownDimension, _ agent: Agent?, to output: inout [UInt8]
  ) {
    guard let agent else { return }
    switch dimension {
    case .device: output.append(contentsOf: agent.device.rawValue.utf8)
    case .browser: output.append(contentsOf: agent.browser.utf8)
    default: output.append(contentsOf: agent.system.utf8)
    }
  }
}

extension TupleFields {
  /// The value of a dimension that tuples have.
  func value(of dimension: BreakdownDimension) -> UnsafeRawBufferPointer {
    switch dimension {
    case .campaign: self[.campaign]
    case .content: self[.content]
    case .variant: self[.variant]
    case .channel: self[.channel]
    case .traffic: self[.traffic]
    default: UnsafeRawBufferPointer(start: nil, count: 0)
    }
  }
}

import Events
import Oracles
import Views

@testable import Operators

/// A watch for incidents under the laws.
final class IncidentSubject: LawSubject {
  /// What one source hands on.
  struct Frame {
    var logTime: Int64
    var panes: [(tuple: DimensionTuple, start: Int64, counts: IncidentCounts)] = []
    var remarks: [(feedback: IncidentFeedback, site: String)] = []
  }

  struct Input {
    var frames: [Frame] = []
    var watermark: Int64
  }

  private var watch: IncidentWatch

  init(_ watch: consuming IncidentWatch) { self.watch = watch }

  func take(_ input: Input, isSilent: Bool, into said: inout Said) {
    for frame in input.frames {
      let tuples = frame.panes.map(\.tuple.encoded)
      var ends: [Int] = []
      for tuple in tuples { ends.append((ends.last ?? 0) + tuple.count) }
      tuples.flatMap { $0 }.withUnsafeBytes { bytes in
        watch.begin(logTime: frame.logTime, after: .min, tupleCount: tuples.count) {
          UnsafeRawBufferPointer(rebasing: bytes[ends[$0] - tuples[$0].count..<ends[$0]])
        }
      }
      for (index, pane) in frame.panes.enumerated() {
        var counts = Counts()
        counts.impressions = pane.counts.impressions
        counts.clicks = pane.counts.clicks
        counts.conversions = pane.counts.conversions
        watch.add(counts, tuple: index, start: pane.start)
      }
      for remark in frame.remarks {
        DimensionTuple(site: remark.site).encoded.withUnsafeBytes {
          watch.add(remark.feedback, tuple: $0, logTime: frame.logTime)
        }
      }
    }
    watch.advance(
      to: FrameMoment(
        sequence: 1, logTime: input.watermark, watermark: input.watermark, isSilent: isSilent))
  }

  func drain(into said: inout Said) {
    var rows: [IncidentRow] = []
    watch.drain(into: &rows)
    for row in rows { said.set([row.id], [row.digest], revision: row.revision) }
  }

  func snapshot(_ scope: SnapshotScope, into writer: inout SnapshotWriter) {
    watch.snapshot(isComplete: scope == .everything, into: &writer)
  }

  func restore(from reader: inout SnapshotReader) throws(SnapshotFormatError) {
    try watch.restore(from: &reader)
  }
}

/// Three sites, each with a campaign, some of which go down or up after some days. A bin is six hours.
struct IncidentStory: LawStory {
  private static let bin: Int64 = 6 * hour
  private static let siteCount = 3

  private let bins: [[IncidentSubject.Frame]]
  private let begin = IncidentPolicy.floor(noon, bin)
  private let policy = IncidentPolicy(bin: bin, watchesContents: false, keyCountMax: 100)

  init(seed: UInt64, law: OperatorLaw) {
    var random = SeededGenerator(seed: seed)
    let start = IncidentPolicy.floor(noon, Self.bin)
    let factors = (0..<Self.siteCount).map { _ in random.pick([0.01, 1, 6]) }
    var bins: [[IncidentSubject.Frame]] = []
    for bin in 0..<10 {
      let from = start + Int64(bin) * Self.bin
      var frames: [IncidentSubject.Frame] = []
      // Now and then the log has a hole.
      let partCount = random.once(in: 8) ? 6 : 10
      for part in 0..<partCount {
        var frame = IncidentSubject.Frame(logTime: from + Int64(part) * Self.bin / 10 + 10 * second)
        let site = part % Self.siteCount
        let factor = bin >= 6 ? factors[site] : 1
        frame.panes.append(
          (
            DimensionTuple(site: "s\(site)", campaign: "c", variant: random.pick(["a", "b"])),
            from + random.time(upTo: Self.bin),
            IncidentCounts(
              impressions: Int64(Double(900 + random.below(200)) * factor),
              clicks: Int64(Double(40 + random.below(20)) * factor),
              conversions: Int64(random.below(5)))
          ))
        // What is too late for its bin, and what is early.
        if random.once(in: 5) {
          frame.panes.append(
            (
              DimensionTuple(site: "s\(site)", campaign: "c"),
              from - Self.bin + random.time(upTo: hour),
              IncidentCounts(impressions: 70)
            ))
        }
        if bin > 6, random.once(in: 4) {
          var key: [UInt8] = []
          DimensionTuple.append("s\(site)", to: &key)
          let id = IncidentRow.identifier(
            level: .site, key: key, kind: factors[site] < 1 ? .trafficDown : .trafficUp,
            begin: start + 6 * Self.bin)
          let verdict = random.pick(IncidentFeedback.Verdict.allCases)
          frame.remarks.append((IncidentFeedback(incident: id, verdict: verdict), "s\(site)"))
        }
        frames.append(frame)
      }
      bins.append(frames)
    }
    self.bins = bins
  }

  func make() -> IncidentSubject {
    IncidentSubject(IncidentWatch(policy: policy, disorder: 5 * second, tupleCountMax: 1_000))
  }

  private func inputs(_ bins: [[IncidentSubject.Frame]]) -> [IncidentSubject.Input] {
    bins.enumerated().map { bin, frames in
      IncidentSubject.Input(frames: frames, watermark: begin + Int64(bin + 1) * Self.bin)
    }
  }

  var inputs: [IncidentSubject.Input] { inputs(bins) }

  /// A site is as a person: it has nothing to do with others.
  func inputs(of isIncluded: (Int) -> Bool) -> [IncidentSubject.Input] {
    inputs(
      bins.map { frames in
        frames.map { frame in
          var frame = frame
          frame.panes.removeAll { !isIncluded(Int($0.tuple.site.dropFirst()) ?? 0) }
          frame.remarks.removeAll { !isIncluded(Int($0.site.dropFirst()) ?? 0) }
          return frame
        }
      })
  }

  /// Sources are ahead of each other, by up to three bins, and time goes on when all have come.
  func permuted(_ random: inout SeededGenerator) -> [IncidentSubject.Input] {
    var result: [IncidentSubject.Input] = []
    var from = 0
    while from < bins.count {
      let count = min(bins.count - from, 1 + random.below(3))
      let frames = bins[from..<from + count].flatMap { $0 }.shuffled(using: &random)
      let early = result.last?.watermark ?? begin
      result += frames.map { IncidentSubject.Input(frames: [$0], watermark: early) }
      for bin in from..<from + count {
        result.append(IncidentSubject.Input(watermark: begin + Int64(bin + 1) * Self.bin))
      }
      from += count
    }
    return result
  }

  var ending: [IncidentSubject.Input] {
    [20, 40].map { days in
      let time = begin + Int64(days) * day
      return IncidentSubject.Input(
        frames: [IncidentSubject.Frame(logTime: time)], watermark: time + 2 * Self.bin)
    }
  }
}

import Foundation
import Oracles
import Testing

@testable import Statistics

@Suite("Incidents in impressions and clicks")
struct RateDetectorTests {
  /// Bins of a quarter of an hour with a daily wave, and what a bin is multiplied by.
  private struct Stream {
    var impressions = 400.0
    var rate = 0.04
    var days = 21
    var seed: UInt64 = 7
    var traffic: (Int) -> Double = { _ in 1 }
    var clicks: (Int) -> Double = { _ in 1 }
    var isMissing: (Int) -> Bool = { _ in false }

    func found() throws -> [(bin: Int, kinds: [RateDetector.Kind])] {
      var random = SeededGenerator(seed: seed)
      var detector = try RateDetector(secondsPerBin: 900)
      var found: [(Int, [RateDetector.Kind])] = []
      for bin in 0..<days * 96 {
        let wave = 1 + 0.5 * sin(Double(bin) * 2 * .pi / 96)
        let views = random.count(of: Int(2 * impressions * wave * traffic(bin)), 0.5)
        let count = random.count(of: views, rate * clicks(bin))
        guard !isMissing(bin) else { continue }
        let verdict = detector.observe(
          impressions: views, clicks: count, at: Int64(bin) * 900 + 1_700_000_000)
        if !verdict.found.isEmpty, bin >= 7 * 96 { found.append((bin, verdict.found)) }
      }
      return found
    }
  }

  private static let start = 16 * 96 + 40

  private static func during(_ length: Int, _ factor: Double) -> (Int) -> Double {
    { (start..<start + length).contains($0) ? factor : 1 }
  }

  @Test("where nothing happens there are no more than two alarms a week")
  func quiet() throws {
    var alarms = 0
    for seed in 0..<6 { alarms += try Stream(seed: UInt64(seed)).found().count }
    #expect(alarms <= 24)
  }

  @Test("where nobody counts clicks none are missed", arguments: [0, 0.000001])
  func uncounted(rate: Double) throws {
    let found = try Stream(rate: rate).found()
    #expect(found.allSatisfy { !$0.kinds.contains(.rateDown) && !$0.kinds.contains(.rateUp) })
  }

  @Test(
    "each kind of incident is found within an hour",
    arguments: [
      (0.05, 1.0, RateDetector.Kind.trafficDown), (4, 1, .trafficUp), (1, 0.1, .rateDown),
      (1, 4, .rateUp),
    ])
  func incidents(traffic: Double, clicks: Double, kind: RateDetector.Kind) throws {
    var stream = Stream()
    stream.traffic = Self.during(24, traffic)
    stream.clicks = Self.during(24, clicks)
    let first = try #require(try stream.found().first { $0.bin >= Self.start })
    #expect(first.kinds.contains(kind))
    #expect(first.bin < Self.start + 4)
  }

  @Test("three clicks are no anomaly, and a third more of many clicks is")
  func trafficMatters() throws {
    var few = Stream(impressions: 8)
    few.clicks = Self.during(2, 6)
    #expect(try few.found().allSatisfy { !(Self.start..<Self.start + 2).contains($0.bin) })
    var many = Stream(impressions: 3_000)
    many.clicks = Self.during(48, 1.33)
    #expect(try many.found().contains { (Self.start..<Self.start + 48).contains($0.bin) })
  }

  @Test("a promotion of half as many impressions more is none")
  func promotion() throws {
    var stream = Stream()
    stream.traffic = Self.during(48, 1.4)
    #expect(try stream.found().allSatisfy { !$0.kinds.contains(.trafficUp) })
  }

  @Test("a level that stays is reported once, and is normal afterwards")
  func levelShift() throws {
    var stream = Stream(days: 28)
    stream.clicks = { $0 >= Self.start ? 2 : 1 }
    let found = try stream.found().filter { $0.bin >= Self.start }
    #expect(found.first.map { $0.bin < Self.start + 4 } == true)
    #expect(found.count { $0.bin >= Self.start + 8 * 96 } <= 1)
  }

  @Test("two days without bins are no incident")
  func gap() throws {
    var stream = Stream()
    stream.isMissing = { (Self.start..<Self.start + 192).contains($0) }
    #expect(try stream.found().allSatisfy { $0.bin < Self.start || $0.bin > Self.start + 200 })
  }

  @Test("written and read between every two bins it is the same")
  func bytes() throws {
    var random = SeededGenerator(seed: 5)
    var plain = try RateDetector(secondsPerBin: 3_600, threshold: 4)
    var restored = plain
    for bin in 0..<500 {
      let views = random.count(of: 60, bin > 400 ? 0.1 : 0.6)
      let clicks = random.count(of: views, 0.2)
      let second = Int64(bin) * 3_600 - 900_000
      let verdict = plain.observe(impressions: views, clicks: clicks, at: second)
      #expect(verdict == restored.observe(impressions: views, clicks: clicks, at: second))
      restored = try plain.encoded().withUnsafeBytes { (bytes) throws(SketchError) in
        try RateDetector(encoded: bytes)
      }
      #expect(restored.encoded() == plain.encoded())
    }
    #expect(plain.encoded().count < 4_096)
  }

  @Test("counts at the ends of their range and times that jump are taken")
  func extremes() throws {
    var detector = try RateDetector(secondsPerBin: 300)
    for second in [0, Int64.max, .min, -1, 1_000] {
      for count in [0, 1, Int.max, -5] {
        let verdict = detector.observe(impressions: count, clicks: count, at: second)
        #expect(verdict.expectedImpressions >= 0)
        #expect(verdict.score >= 0 && verdict.score <= 12)
      }
    }
  }

  @Test("waves are those of the C library")
  func waves() {
    for step in 0..<1_000 {
      let turn = Double(step) / 1_000
      let (cosine, sine) = Harmonics.cosineAndSine(turn: turn)
      #expect(abs(cosine - cos(2 * .pi * turn)) < 1e-15)
      #expect(abs(sine - sin(2 * .pi * turn)) < 1e-15)
    }
    var x = [Double](repeating: 0, count: 13)
    Harmonics(at: 123_456_789).fill(&x, daily: 3, weekly: 3)
    for wave in 1...3 {
      let day = 2 * Double.pi * Double(wave) * Double(123_456_789 % 86_400) / 86_400
      let week = 2 * Double.pi * Double(wave) * Double(123_456_789 % 604_800) / 604_800
      #expect(abs(x[2 * wave - 1] - cos(day)) < 1e-13 && abs(x[2 * wave] - sin(day)) < 1e-13)
      #expect(abs(x[5 + 2 * wave] - cos(week)) < 1e-13 && abs(x[6 + 2 * wave] - sin(week)) < 1e-13)
    }
  }
}

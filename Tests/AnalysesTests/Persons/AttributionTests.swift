import Events
import Oracles
import Testing

@testable import Analyses

@Suite("Attribution")
struct AttributionTests {
  private static let models: [AttributionModel] = [
    .lastTouch, .firstTouch, .linear, .position, .timeDecay(halfLife: 10 * minute),
  ]

  private func attribution(_ model: AttributionModel, lookBack: Int64 = 100) -> Attribution {
    Attribution(
      Attribution.Question(
        model: model, lookBack: lookBack * minute, times: 0..<1_000 * minute))
  }

  /// Conversions by value, in millionths.
  private func credits(_ attribution: Attribution) -> [UInt32: Int64] {
    attribution.credits.mapValues(\.conversionMicros).filter { $0.value != 0 }
  }

  @Test(
    "credit is divided as the models say",
    arguments: zip(
      AttributionTests.models,
      [
        [4: 1_000_000], [1: 1_000_000], [1: 250_000, 2: 250_000, 3: 250_000, 4: 250_000],
        [1: 400_000, 2: 100_000, 3: 100_000, 4: 400_000],
        // Ages 40, 20, 10 and 0 minutes: 1/16, 1/4, 1/2 and 1 of 29/16.
        [1: 34_483, 2: 137_931, 3: 275_862, 4: 551_724],
      ] as [[UInt32: Int64]]))
  func division(model: AttributionModel, right: [UInt32: Int64]) {
    var attribution = attribution(model)
    attribution.add(history("a10=1 a30=2 a40=3 a50=4 b50$3000001"))
    #expect(credits(attribution) == right)
    #expect(attribution.attributed.conversions == 1)
    let revenue = attribution.credits.values.compactMap { $0.revenueMicros[0] }
    #expect(revenue.reduce(0, +) == 3_000_001)
  }

  @Test(
    "a touch counts within the look-back, at the same moment too, and before it a conversion is nobody's",
    arguments: [
      ("a0=1 b100", [1: 1_000_000], 0), ("a0=1 b101", [:], 1), ("b0 a0=1", [1: 1_000_000], 0),
      ("b0 a1=1", [:], 1), ("b5", [:], 1), ("a0=1 b5 b6", [1: 2_000_000], 0),
      // Who converts with what touches is not its own touch.
      ("ab0=1", [:], 1), ("ab0=1 ab5=2", [1: 1_000_000], 1),
      // Conversions out of the times do not count, touches before them do.
      ("a-5=1 b-4 b3", [1: 1_000_000], 0), ("a990=1 b1000", [:], 0),
    ] as [(String, [UInt32: Int64], Int64)])
  func lookBack(text: String, right: [UInt32: Int64], unattributed: Int64) {
    var attribution = attribution(.lastTouch)
    attribution.add(history(text))
    #expect(credits(attribution) == right)
    #expect(attribution.unattributed.conversions == unattributed)
  }

  @Test("two touches have half of a conversion each by position, and one has all of it")
  func fewTouches() {
    for (text, right) in [
      ("a0=1 b9", [1: 1_000_000]), ("a0=1 a1=2 b9", [1: 500_000, 2: 500_000]),
      ("a0=1 a1=1 a2=2 b9", [1: 600_000, 2: 400_000]),
    ] as [(String, [UInt32: Int64])] {
      var attribution = attribution(.position)
      attribution.add(history(text))
      #expect(credits(attribution) == right)
    }
  }

  @Test("parts of a whole are whole, near their share and add up to it", arguments: 0..<200)
  func split(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let weights = (0..<1 + random.below(12)).map { _ in UInt64(random.below(5)) } + [1]
    let total = Double(weights.reduce(0, +))
    for amount in [
      0, 1, -1, 7, 1_000_000, -999_999, Int64(random.below(1 << 40)), .max, .min + 1, .min,
    ] as [Int64] {
      let parts = CreditSplit.parts(of: amount, by: weights)
      #expect(parts.reduce(0, &+) == amount)
      for (part, weight) in zip(parts, weights) where amount.magnitude < 1 << 50 {
        #expect((Double(part) - Double(amount) * Double(weight) / total).magnitude < 1)
      }
    }
  }

  @Test(
    "credits add up to what is attributed and follow from the set of touches",
    arguments: 0..<100)
  func oracle(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let lookBack = Int64(1 + random.below(20))
    let people = (0..<20).map { _ in
      randomTouches(&random, count: random.below(12), marks: 2, moments: 40)
    }
    for model in Self.models {
      var attribution = attribution(model, lookBack: lookBack)
      for person in people { attribution.add(PersonHistory(person.shuffled(using: &random))) }
      var credits: [UInt32: Double] = [:]
      var attributed: [UInt32: Int64] = [:]
      var (with, without) = (Int64(0), Int64(0))
      for person in people {
        for conversion in person where conversion.marks & 2 != 0 {
          let path = person.filter {
            $0.key != conversion.key && $0.marks & 1 != 0 && $0.time <= conversion.time
              && $0.time >= conversion.time - lookBack * minute
          }.sorted(by: PersonTouch.precedes)
          guard !path.isEmpty else {
            without += 1
            continue
          }
          with += 1
          attributed[conversion.currency, default: 0] += conversion.revenueMicros
          for (touch, share) in zip(path, Self.shares(model, path, conversion)) {
            credits[touch.value, default: 0] += share
          }
        }
      }
      #expect(attribution.attributed.conversions == with)
      #expect(attribution.unattributed.conversions == without)
      let units = attribution.credits.values.map(\.conversionMicros).reduce(0, +)
      #expect(units == with * Attribution.unit)
      for (value, credit) in credits {
        let found = Double(attribution.credits[value]?.conversionMicros ?? 0) / 1e6
        #expect((found - credit).magnitude < 1e-4, "\(model), seed \(seed)")
      }
      for currency in [0, 1] as [UInt32] {
        let revenue = attribution.credits.values.compactMap { $0.revenueMicros[currency] }
        #expect(revenue.reduce(0, +) == attributed[currency] ?? 0)
        #expect(attribution.attributed.revenueMicros[currency] ?? 0 == attributed[currency] ?? 0)
      }
    }
  }

  private static func shares(
    _ model: AttributionModel, _ path: [PersonTouch], _ conversion: PersonTouch
  ) -> [Double] {
    let count = path.count
    switch model {
    case .lastTouch: return path.indices.map { $0 == count - 1 ? 1 : 0 }
    case .firstTouch: return path.indices.map { $0 == 0 ? 1 : 0 }
    case .linear: return path.map { _ in 1 / Double(count) }
    case .position:
      if count < 3 { return path.map { _ in 1 / Double(count) } }
      return path.indices.map {
        $0 == 0 || $0 == count - 1 ? 0.4 : 0.2 / Double(count - 2)
      }
    case .timeDecay(let halfLife):
      let sizes = path.map { touch in
        var size = 1.0
        // In whole halves here: moments are minutes, and the half-life is ten.
        let age = Double(conversion.time - touch.time) / Double(halfLife)
        for _ in 0..<Int((age * 10).rounded()) { size *= 0.933_032_991_536_807_4 }
        return size
      }
      return sizes.map { $0 / sizes.reduce(0, +) }
    }
  }
}

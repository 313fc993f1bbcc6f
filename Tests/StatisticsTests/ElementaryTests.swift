import Foundation
import Statistics
import Testing

@Suite("Elementary functions")
struct ElementaryTests {
  /// Distance in units of the last place of what is right.
  private static func units(_ value: Double, _ right: Double) -> Double {
    value == right ? 0 : (value - right).magnitude / right.ulp
  }

  private static let points: [Double] = {
    var points: [Double] = [
      1e-307, .leastNonzeroMagnitude, 0.5, 0.707, 0.7072, 1, 1.4142, 1.4143, 2, 1e300,
    ]
    var x = 1e-12
    while x < 1e12 {
      points += [x, 1 + x, 1 - 1 / (2 + x)]
      x *= 1.37
    }
    return points
  }()

  @Test("logarithms are those of the C library to a unit in the last place or two")
  func logarithms() {
    for x in Self.points {
      #expect(Self.units(Elementary.log(x), log(x)) <= 1, "ln \(x)")
      #expect(Self.units(Elementary.log1p(x), log1p(x)) <= 2, "ln(1 + \(x))")
      let negative = -x / (1 + x)
      if negative > -1 {
        #expect(Self.units(Elementary.log1p(negative), log1p(negative)) <= 2, "ln(1 + \(negative))")
      }
    }
  }

  @Test("exponentials are those of the C library to a unit in the last place or two")
  func exponentials() {
    for x in Self.points where x < 745 {
      for y in [x, -x] {
        #expect(Self.units(Elementary.exp(y), exp(y)) <= 1, "exp \(y)")
        #expect(Self.units(Elementary.expm1(y), expm1(y)) <= 2, "expm1 \(y)")
      }
    }
  }

  @Test("ends of the range are infinities, zeros and not numbers as IEEE 754 has them")
  func ends() {
    #expect(Elementary.log(0) == -.infinity)
    #expect(Elementary.log(-1).isNaN)
    #expect(Elementary.log(.infinity) == .infinity)
    #expect(Elementary.log1p(-1) == -.infinity)
    #expect(Elementary.log1p(-2).isNaN)
    #expect(Elementary.exp(800) == .infinity)
    #expect(Elementary.exp(-800) == 0)
    #expect(Elementary.exp(.nan).isNaN)
    #expect(Elementary.log(.nan).isNaN)
    #expect(Elementary.pow(2, 10) == 1024)
    #expect(Elementary.logSumExp([]) == -.infinity)
    #expect((Elementary.logSumExp([-1000, -1000]) - (-1000 + log(2))).magnitude < 1e-12)
    #expect((Elementary.logSumExp(1000, 1000) - (1000 + log(2))).magnitude < 1e-12)
  }
}

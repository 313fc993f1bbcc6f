/// The normal distribution.
///
/// The distribution function by the error function's series up to 2 standard deviations and by Laplace's
/// continued fraction beyond (Abramowitz and Stegun 7.1.6, 26.2.14), relative error below 1e-14 up to 8
/// standard deviations and 1e-13 up to 37, some 200 ns; the quantile by Wichura's AS 241 (PPND16), relative
/// error below 1e-15, some 15 ns.
public enum Normal {
  public static func density(_ x: Double) -> Double {
    Elementary.exp(-0.5 * x * x - Elementary.halfLogTau)
  }

  /// P(X ≤ x).
  public static func lower(_ x: Double) -> Double { upper(-x) }

  /// P(X > x), exact in the far tail too.
  public static func upper(_ x: Double) -> Double {
    if x.isNaN { return x }
    let size = x.magnitude
    guard size < 38.6 else { return x > 0 ? 0 : 1 }
    let density = density(size)
    if size < 2 {
      // Φ(x) − ½ = φ(x) (x + x³/3 + x⁵/15 + …), without cancellation.
      var term = size
      var sum = size
      var n = 1.0
      while term > sum * 1e-17 {
        n += 2
        term *= size * size / n
        sum += term
      }
      let half = density * sum
      return x > 0 ? 0.5 - half : 0.5 + half
    }
    // 80 levels suffice at 2 standard deviations, fewer beyond.
    var fraction = size
    for level in stride(from: 80, through: 1, by: -1) { fraction = size + Double(level) / fraction }
    let tail = density / fraction
    return x > 0 ? tail : 1 - tail
  }

  /// The x with P(X ≤ x) = p; infinite at 0 and 1.
  public static func quantile(_ p: Double) -> Double {
    guard p > 0, p < 1 else { return p == 0 ? -.infinity : p == 1 ? .infinity : .nan }
    let q = p - 0.5
    if q.magnitude <= 0.425 {
      let r = 0.180625 - q * q
      return q * ratio(r, central)
    }
    var r = q < 0 ? p : 1 - p
    r = (-Elementary.log(r)).squareRoot()
    let size = r <= 5 ? ratio(r - 1.6, middle) : ratio(r - 5, far)
    return q < 0 ? -size : size
  }

  /// The x with P(X > x) = p, exact for the smallest p too.
  public static func upperQuantile(_ p: Double) -> Double { -quantile(p) }

  private typealias Rational = (above: [Double], below: [Double])

  private static func ratio(_ x: Double, _ rational: Rational) -> Double {
    var above = 0.0
    var below = 0.0
    for index in stride(from: 7, through: 0, by: -1) {
      above = above * x + rational.above[index]
      below = below * x + rational.below[index]
    }
    return above / below
  }

  private static let central: Rational = (
    [
      3.387_132_872_796_366_6080e0, 1.331_416_678_917_843_7745e2, 1.971_590_950_306_551_4427e3,
      1.373_169_376_550_946_1125e4, 4.592_195_393_154_987_1457e4, 6.726_577_092_700_870_0853e4,
      3.343_057_558_358_812_8105e4, 2.509_080_928_730_122_6727e3,
    ],
    [
      1.0, 4.231_333_070_160_091_1252e1, 6.871_870_074_920_579_0830e2,
      5.394_196_021_424_751_1077e3, 2.121_379_430_158_659_5867e4, 3.930_789_580_009_271_0610e4,
      2.872_908_573_572_194_2674e4, 5.226_495_278_852_854_5610e3,
    ]
  )
  private static let middle: Rational = (
    [
      1.423_437_110_749_683_57734e0, 4.630_337_846_156_545_29590e0,
      5.769_497_221_460_691_40550e0, 3.647_848_324_763_204_60504e0,
      1.270_458_252_452_368_38258e0, 2.417_807_251_774_506_11770e-1,
      2.272_384_498_926_918_45833e-2, 7.745_450_142_783_414_07640e-4,
    ],
    [
      1.0, 2.053_191_626_637_758_82187e0, 1.676_384_830_183_803_84940e0,
      6.897_673_349_851_000_04550e-1, 1.481_039_764_274_800_74590e-1,
      1.519_866_656_361_645_71966e-2, 5.475_938_084_995_344_94600e-4,
      1.050_750_071_644_416_84324e-9,
    ]
  )
  private static let far: Rational = (
    [
      6.657_904_643_501_103_77720e0, 5.463_784_911_164_114_36990e0,
      1.784_826_539_917_291_33580e0, 2.965_605_718_285_048_91230e-1,
      2.653_218_952_657_612_30930e-2, 1.242_660_947_388_078_43860e-3,
      2.711_555_568_743_487_57815e-5, 2.010_334_399_292_288_13265e-7,
    ],
    [
      1.0, 5.998_322_065_558_879_37690e-1, 1.369_298_809_227_358_05310e-1,
      1.487_536_129_085_061_48525e-2, 7.868_691_311_456_132_59100e-4,
      1.846_318_317_510_054_68180e-5, 1.421_511_758_316_445_88870e-7,
      2.044_263_103_389_939_78564e-15,
    ]
  )
}

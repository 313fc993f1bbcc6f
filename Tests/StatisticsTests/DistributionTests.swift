import Statistics
import Testing

/// Golden values computed with mpmath at 40 digits, quantiles of t, beta and gamma with SciPy 1.17.
@Suite("Distributions")
struct DistributionTests {
  /// Relative, and absolute near zero.
  private static func isNear(_ value: Double, _ right: Double, _ tolerance: Double) -> Bool {
    value == right || (value - right).magnitude <= tolerance * max(right.magnitude, 1e-300)
  }

  @Test(
    "the logarithm of the gamma function is right to fourteen digits",
    arguments: [
      (1e-08, 18.420680738180209),
      (0.1, 2.2527126517342059),
      (0.5, 0.57236494292470009),
      (1, 0.0),
      (1.5, -0.12078223763524522),
      (2, 0.0),
      (3.7, 1.4280723266653881),
      (9.99, 12.779315214350193),
      (10, 12.80182748008147),
      (25.3, 55.746181183584592),
      (1000.5, 5908.6741758486775),
      (1000000.0, 12815504.569147612),
      (1000000000000.0, 26631021115915.652),
    ] as [(Double, Double)])
  func logGamma(x: Double, right: Double) {
    let value = GammaFunction.log(x)
    #expect((value - right).magnitude <= 1e-14 * max(1, right.magnitude), "\(value)")
  }

  @Test(
    "the logarithm of the beta function does not lose digits to large arguments",
    arguments: [
      (0.5, 0.5, 1.1447298858494002),
      (1, 1, 0.0),
      (2, 3, -2.4849066497880003),
      (0.3, 1000, -0.97642358188024162),
      (5, 50000, -50.921037585703737),
      (12, 9, -14.228705712134349),
      (100, 200, -192.13419227497895),
      (1000000.0, 1000000.0, -1386300.0033629211),
      (3, 1000000000.0, -61.476650333279288),
      (100000.0, 10000000.0, -561020.19276400721),
    ] as [(Double, Double, Double)])
  func logBeta(a: Double, b: Double, right: Double) {
    for value in [GammaFunction.logBeta(a, b), GammaFunction.logBeta(b, a)] {
      #expect((value - right).magnitude <= 2e-14 * max(1, right.magnitude), "\(value)")
    }
  }

  @Test(
    "both tails of the incomplete gamma function are right to twelve digits",
    arguments: [
      (0.5, 0.1, 0.34527915398142298, 0.65472084601857702),
      (0.5, 3, 0.98569412156457036, 0.01430587843542964),
      (1, 1, 0.63212055882855768, 0.36787944117144232),
      (3, 2.5, 0.45618688411667048, 0.54381311588332952),
      (10, 30, 0.99999287824913718, 7.1217508628155771e-6),
      (100, 80, 0.017108313035133114, 0.98289168696486689),
      (100, 130, 0.99724959163269347, 0.0027504083673065263),
      (5000, 5100, 0.92067111892238102, 0.079328881077618977),
      (100000.0, 100200, 0.73666201000519871, 0.26333798999480129),
    ] as [(Double, Double, Double, Double)])
  func incompleteGamma(a: Double, x: Double, lower: Double, upper: Double) {
    #expect(Self.isNear(GammaFunction.lower(a, x), lower, 1e-12))
    #expect(Self.isNear(GammaFunction.upper(a, x), upper, upper < 0.5 ? 1e-12 : 1e-11))
  }

  @Test(
    "both tails of the incomplete beta function are right to eleven digits",
    arguments: [
      (0.5, 0.5, 0.3, 0.36901011956554538, 0.63098988043445462),
      (1, 3, 0.2, 0.48800000000000002, 0.51199999999999998),
      (2, 5, 0.9, 0.999945, 5.499999999999994e-5),
      (30, 70, 0.3, 0.51162510455860912, 0.48837489544139088),
      (30, 70, 0.5, 0.99997696878517813, 2.303121482187372e-5),
      (1000, 2000, 0.34, 0.78121509116064273, 0.21878490883935727),
      (5, 10000, 0.001, 0.97087952731712955, 0.029120472682870451),
      (50000, 50000, 0.503, 0.97111102773761049, 0.02888897226238951),
    ] as [(Double, Double, Double, Double, Double)])
  func incompleteBeta(a: Double, b: Double, x: Double, lower: Double, upper: Double) {
    #expect(Self.isNear(BetaFunction.lower(a, b, x), lower, 1e-11))
    #expect(Self.isNear(BetaFunction.upper(a, b, x), upper, 1e-11))
  }

  @Test(
    "the tail of the normal distribution is right to thirteen digits, far out too",
    arguments: [
      (0, 0.5),
      (0.1, 0.46017216272297102),
      (0.5, 0.3085375387259869),
      (1, 0.15865525393145705),
      (1.96, 0.024997895148220436),
      (2.4, 0.0081975359245961314),
      (2.5, 0.0062096653257761352),
      (2.6, 0.004661188023718749),
      (3, 0.0013498980316300945),
      (5, 2.8665157187919391e-7),
      (8, 6.2209605742717841e-16),
      (20, 2.7536241186062337e-89),
      (37, 5.7255712225245768e-300),
    ] as [(Double, Double)])
  func normalTail(x: Double, right: Double) {
    #expect(Self.isNear(Normal.upper(x), right, x <= 8 ? 1e-14 : 2e-13), "\(Normal.upper(x))")
    #expect(Self.isNear(Normal.lower(x), 1 - right, 1e-15))
    #expect(Self.isNear(Normal.upper(-x), 1 - right, 1e-15))
  }

  @Test(
    "quantiles of the normal distribution are right to fifteen digits",
    arguments: [
      (1e-300, -37.047096299361199),
      (1e-20, -9.2623400897984076),
      (1e-06, -4.753424308822899),
      (0.001, -3.0902323061678135),
      (0.025, -1.9599639845400542),
      (0.05, -1.6448536269514727),
      (0.2, -0.84162123357291417),
      (0.5, 0),
      (0.6, 0.25334710313579974),
      (0.9, 1.2815515655446006),
      (0.975, 1.9599639845400539),
      (0.999, 3.0902323061678133),
    ] as [(Double, Double)])
  func normalQuantile(p: Double, right: Double) {
    #expect(Self.isNear(Normal.quantile(p), right, 2e-15), "\(Normal.quantile(p))")
  }

  @Test(
    "the tail of Student's t is right to eleven digits",
    arguments: [
      (0.5, 1, 0.35241638234956673),
      (2, 1, 0.14758361765043327),
      (2, 5, 0.050969739414929178),
      (1.96, 30, 0.029671156448025238),
      (3, 200.5, 0.0015210820839504444),
      (10, 12, 1.7906618438361873e-7),
      (4, 100000.0, 3.169399877859767e-5),
      (0.001, 7, 0.49961500862249942),
    ] as [(Double, Double, Double)])
  func studentTail(t: Double, degrees: Double, right: Double) {
    #expect(Self.isNear(StudentT.upper(t, degrees: degrees), right, 1e-11))
    #expect(Self.isNear(StudentT.lower(-t, degrees: degrees), right, 1e-11))
  }

  @Test(
    "quantiles of Student's t, beta and gamma are those of SciPy",
    arguments: [
      (StudentT.quantile(0.975, degrees: 1), 12.706204736174694),
      (StudentT.quantile(0.975, degrees: 4.5), 2.6589123472044034),
      (StudentT.quantile(0.95, degrees: 30), 1.697260886593957),
      (StudentT.quantile(0.001, degrees: 12), -3.9296332646264918),
      (StudentT.quantile(0.9999, degrees: 1000), 3.7328516045753966),
      (BetaDistribution(1, 1).quantile(0.025), 0.025),
      (BetaDistribution(3, 20).quantile(0.025), 0.02905585112874668),
      (BetaDistribution(500, 9500).quantile(0.975), 0.054355934102656864),
      (BetaDistribution(0.5, 0.5).quantile(0.5), 0.4999999999999999),
      (BetaDistribution(2, 1).quantile(0.9), 0.9486832980505138),
      (GammaDistribution(shape: 1, rate: 1).quantile(0.025), 0.025317807984289876),
      (GammaDistribution(shape: 3, rate: 2).quantile(0.5), 1.3370301568617795),
      (GammaDistribution(shape: 500, rate: 10).quantile(0.975), 54.47654563874568),
      (GammaDistribution(shape: 0.5, rate: 0.5).quantile(0.95), 3.841458820694124),
      (GammaDistribution(shape: 0.1, rate: 1).quantile(0.001), 6.073048362407869e-31),
    ] as [(Double, Double)])
  func quantiles(value: Double, right: Double) {
    #expect(Self.isNear(value, right, 1e-10), "\(value)")
  }

  @Test("a distribution function of a quantile is its probability")
  func inverses() {
    for p in [1e-12, 1e-3, 0.025, 0.3, 0.5, 0.8, 0.975, 0.9999] {
      #expect(Self.isNear(Normal.lower(Normal.quantile(p)), p, 1e-12))
      #expect(Self.isNear(Normal.upper(Normal.upperQuantile(p)), p, 1e-12))
      #expect(Self.isNear(StudentT.lower(StudentT.quantile(p, degrees: 7), degrees: 7), p, 1e-11))
      let rate = BetaDistribution(13, 4000)
      #expect(Self.isNear(rate.lower(rate.quantile(p)), p, 1e-10))
      let count = GammaDistribution(shape: 4.2, rate: 0.1)
      #expect(Self.isNear(count.lower(count.quantile(p)), p, 1e-10))
    }
  }

  @Test("ends and impossible arguments give zeros, ones, infinities and not numbers")
  func ends() {
    #expect(GammaFunction.log(-1).isNaN)
    #expect(GammaFunction.lower(2, 0) == 0)
    #expect(GammaFunction.upper(2, .infinity) == 0)
    #expect(BetaFunction.lower(2, 3, -1) == 0)
    #expect(BetaFunction.upper(2, 3, 2) == 0)
    #expect(Normal.quantile(0) == -.infinity)
    #expect(Normal.quantile(1) == .infinity)
    #expect(Normal.quantile(2).isNaN)
    #expect(Normal.upper(40) == 0)
    #expect(StudentT.quantile(1.5, degrees: 3).isNaN)
    #expect(Self.isNear(BetaDistribution(1, 1).interval(0.9).lower, 0.05, 1e-14))
  }
}

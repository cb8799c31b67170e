// A logistic curve through labelled scores (Platt's scaling), fitted on counts: what the calibration leans on while labels are few.

/** Keeps the fit finite where a score parts the classes completely. */
const RIDGE = 1e-3;
const STEPS = 50;

export interface Curve {
  readonly intercept: number;
  readonly slope: number;
}

export function logisticAt({ intercept, slope }: Curve, x: number): number {
  return 1 / (1 + Math.exp(-(intercept + slope * x)));
}

/** Most likely curve for `hits[i]` of `rows[i]` at `xs[i]`, by Newton's method with halved steps. */
export function fitLogistic(xs: ArrayLike<number>, hits: ArrayLike<number>, rows: ArrayLike<number>): Curve {
  const loss = ({ intercept, slope }: Curve): number => {
    let sum = RIDGE * (intercept * intercept + slope * slope);
    for (let i = 0; i < xs.length; i++) {
      const z = intercept + slope * (xs[i] ?? 0);
      const softplus = z > 0 ? z + Math.log1p(Math.exp(-z)) : Math.log1p(Math.exp(z));
      sum += (rows[i] ?? 0) * softplus - (hits[i] ?? 0) * z;
    }
    return sum;
  };
  let curve: Curve = { intercept: 0, slope: 0 };
  let best = loss(curve);
  for (let step = 0; step < STEPS; step++) {
    const towards = newtonStep(curve, { xs, hits, rows });
    let length = 1;
    let next = curve;
    let reached = Number.POSITIVE_INFINITY;
    for (; length > 1e-6; length /= 2) {
      next = {
        intercept: curve.intercept - length * towards.intercept,
        slope: curve.slope - length * towards.slope,
      };
      reached = loss(next);
      if (reached <= best) break;
    }
    if (!(reached <= best)) break;
    const gained = best - reached;
    curve = next;
    best = reached;
    if (gained < 1e-10 * (1 + Math.abs(best))) break;
  }
  return curve;
}

interface Observed {
  readonly xs: ArrayLike<number>;
  readonly hits: ArrayLike<number>;
  readonly rows: ArrayLike<number>;
}

function newtonStep(curve: Curve, { xs, hits, rows }: Observed): Curve {
  let g0 = 2 * RIDGE * curve.intercept;
  let g1 = 2 * RIDGE * curve.slope;
  let h00 = 2 * RIDGE;
  let h01 = 0;
  let h11 = 2 * RIDGE;
  for (let i = 0; i < xs.length; i++) {
    const x = xs[i] ?? 0;
    const p = logisticAt(curve, x);
    const miss = (rows[i] ?? 0) * p - (hits[i] ?? 0);
    const bend = (rows[i] ?? 0) * p * (1 - p);
    g0 += miss;
    g1 += miss * x;
    h00 += bend;
    h01 += bend * x;
    h11 += bend * x * x;
  }
  const determinant = h00 * h11 - h01 * h01;
  return {
    intercept: (h11 * g0 - h01 * g1) / determinant,
    slope: (h00 * g1 - h01 * g0) / determinant,
  };
}

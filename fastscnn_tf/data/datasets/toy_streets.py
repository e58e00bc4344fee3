"""Toy streets: procedurally drawn street scenes, the data set that needs no download.

Scenes have perspective, occlusion, texture, varied light and colour; the colours of classes
overlap, so that a single pixel does not tell its class. The same (split, index, size) always
gives the same scene.
"""

import functools

import numpy as np
from PIL import Image, ImageDraw

from ...core.errors import DataError
from ...core.labels import TOY_STREETS
from ...core.sizes import Size
from .dataset import SegmentationDataset

DEFAULT_SIZE: Size = (192, 320)
SPLITS = {"train": (0, 400), "val": (1, 60), "test": (2, 60)}  # split -> (seed, scenes)
ROAD, PAVEMENT, BUILDING, TREE, SKY, CAR, PERSON, POLE, SIGN = range(9)


class ToyStreets(SegmentationDataset):
    """Drawn street scenes.

    Args:
        split: `train` (400 scenes), `val` (60) or `test` (60).
        size: (height, width) in pixels.
        seed: another seed gives other scenes.

    Raises:
        DataError: unknown split.
    """

    name = "toy"
    labels = TOY_STREETS

    def __init__(self, split: str, size: Size = DEFAULT_SIZE, seed: int = 0):
        if split not in SPLITS:
            raise DataError(f"toy streets have the splits {', '.join(SPLITS)}; got {split!r}")
        self.split, self.size, self.seed = split, size, seed

    def __len__(self) -> int:
        return SPLITS[self.split][1]

    def sample_name(self, index: int) -> str:
        return f"toy_{self.split}_{index:04d}"

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        image, label = draw_scene((self.seed, SPLITS[self.split][0], index), self.size)
        return image.copy(), label.copy()

    def read_image(self, index: int) -> np.ndarray:
        return self.read(index)[0]

    def read_label(self, index: int) -> np.ndarray:
        return self.read(index)[1]


@functools.lru_cache(maxsize=600)  # one data set: 400 + 60 + 60 scenes
def draw_scene(seed: tuple[int, ...], size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene: (H, W, 3) uint8 RGB and (H, W) uint8 class indices."""
    scene = _Scene(np.random.default_rng(seed), size)
    scene.draw_background()
    scene.draw_objects()
    return scene.photograph(), np.asarray(scene.label)


class _Scene:
    """A canvas for colours and one for classes, drawn far to near.

    Coordinates are fractions of the image: x 0..1 left to right, y 0..1 top to bottom. Depth d
    runs from 0 at the horizon to 1 at the camera.
    """

    def __init__(self, rng: np.random.Generator, size: Size):
        self.rng, (self.height, self.width) = rng, size
        self.color = Image.new("RGB", (self.width, self.height))
        self.label = Image.new("L", (self.width, self.height))
        self._color, self._label = ImageDraw.Draw(self.color), ImageDraw.Draw(self.label)
        self.horizon = rng.uniform(0.36, 0.5)
        self.vanish = rng.uniform(0.35, 0.65)
        self.left, self.right = rng.uniform(-0.25, 0.15), rng.uniform(0.85, 1.25)
        self.kerb = rng.uniform(0.2, 0.4)

    # --- primitives -------------------------------------------------------------------------

    def _points(self, points):
        return [(x * self.width, y * self.height) for x, y in points]

    def polygon(self, points, color, label=None):
        self._color.polygon(self._points(points), fill=_rgb(color))
        if label is not None:
            self._label.polygon(self._points(points), fill=label)

    def box(self, x0, y0, x1, y1, color, label=None):
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], color, label)

    def ellipse(self, x, y, rx, ry, color, label=None):
        box = self._points([(x - rx, y - ry), (x + rx, y + ry)])
        self._color.ellipse(box, fill=_rgb(color))
        if label is not None:
            self._label.ellipse(box, fill=label)

    def ground(self, depth):
        """y of the ground at depth 0..1."""
        return self.horizon + (1 - self.horizon) * depth

    def edge(self, side, depth, offset=0.0):
        """x of the road's edge (side -1 left, 1 right), moved outwards by `offset`."""
        near = (self.left - offset) if side < 0 else (self.right + offset)
        return self.vanish + (near - self.vanish) * depth

    def shade(self, low, high, tint=12.0):
        """A greyish colour between two brightnesses."""
        return self.rng.uniform(low, high) + self.rng.normal(0, tint, 3)

    def vivid(self):
        """Any colour: cars, clothes, signs and shop fronts share it."""
        return self.rng.uniform(15, 240, 3)

    def clothes(self):
        """Red to yellow: warm, as the brick of houses and the rims of signs."""
        return np.array([self.rng.uniform(150, 235), self.rng.uniform(20, 150), 40])

    # --- background -------------------------------------------------------------------------

    def draw_background(self):
        self._sky()
        pavement, road = self.shade(120, 205, 8), self.shade(50, 120, 5)
        self.box(0, self.horizon, 1, 1, pavement, PAVEMENT)
        for side in (-1, 1):
            self._buildings(side)
        self._tiles(pavement)
        far = 0.02
        corners = [(self.edge(side, far), self.ground(far)) for side in (-1, 1)]
        corners += [(self.edge(side, 1), 1) for side in (1, -1)]
        self.polygon(corners, road, ROAD)
        self._road_markings(road)

    def _sky(self):
        top = self.rng.choice([[90, 140, 205], [150, 155, 165], [205, 205, 205], [200, 150, 120]])
        top = top + self.rng.normal(0, 15, 3)
        low = top + self.rng.uniform(-20, 50)
        bands = 12
        for i in range(bands):
            color = top + (low - top) * i / bands
            y0, y1 = self.horizon * i / bands, self.horizon * (i + 1) / bands + 0.01
            self.box(0, y0, 1, y1, color, SKY)
        for _ in range(self.rng.integers(0, 5)):
            x, y = self.rng.uniform(0, 1), self.rng.uniform(0, self.horizon * 0.7)
            self.ellipse(x, y, self.rng.uniform(0.05, 0.2), 0.03, self.shade(170, 240, 5))

    def _buildings(self, side):
        depth = 0.12
        while depth < 1.6:
            deeper = depth * self.rng.uniform(1.3, 1.9)
            if self.rng.random() < 0.85:
                self._building(side, depth, deeper, self.rng.uniform(0.5, 1.3))
            depth = deeper

    def _building(self, side, far, near, height):
        offset = self.kerb
        xf, xn = self.edge(side, far, offset), self.edge(side, near, offset)
        (yf, yn), (hf, hn) = (self.ground(far), self.ground(near)), (height * far, height * near)
        outer = -0.6 if side < 0 else 1.6
        wall = self.vivid() * 0.25 + self.rng.uniform(0.45, 1.1) * np.array([135, 105, 80])
        top_f, top_n = self.horizon - hf, self.horizon - hn
        self.polygon([(xf, top_f), (outer, top_f), (outer, yf), (xf, yf)], wall * 0.85, BUILDING)
        self.polygon([(xf, top_f), (xn, top_n), (xn, yn), (xf, yf)], wall, BUILDING)
        window = self.shade(25, 210, 20)
        rows, columns = self.rng.integers(2, 6), self.rng.integers(2, 6)
        for i in range(columns):
            a, b = (i + 0.25) / columns, (i + 0.75) / columns
            for j in range(rows):
                c, d = (j + 0.2) / rows, (j + 0.7) / rows
                self._wall_patch(xf, xn, (top_f, yf), (top_n, yn), a, b, c, d, window)

    def _wall_patch(self, xf, xn, far, near, a, b, c, d, color):
        def at(u, v):
            top, bottom = far[0] + (near[0] - far[0]) * u, far[1] + (near[1] - far[1]) * u
            return xf + (xn - xf) * u, top + (bottom - top) * v

        self.polygon([at(a, c), at(b, c), at(b, d), at(a, d)], color)

    def _tiles(self, pavement):
        seam = pavement * self.rng.uniform(0.75, 0.92)
        for depth in np.geomspace(0.1, 1.0, 12):
            y = self.ground(depth)
            for side in (-1, 1):
                x0, x1 = self.edge(side, depth), self.edge(side, depth, self.kerb)
                self._color.line(self._points([(x0, y), (x1, y)]), fill=_rgb(seam))

    def _road_markings(self, road):
        if self.rng.random() < 0.75:
            paint = road + self.rng.uniform(40, 90)
            middle = (self.left + self.right) / 2
            for depth in np.geomspace(0.15, 0.9, self.rng.integers(4, 8)):
                x = self.vanish + (middle - self.vanish) * depth
                w, y = 0.008 * depth, self.ground(depth)
                self.box(x - w, y, x + w, self.ground(depth * 1.12), paint)
        for _ in range(self.rng.integers(0, 3)):
            depth = self.rng.uniform(0.2, 0.9)
            x, y = self.rng.uniform(0.2, 0.8), self.ground(depth)
            shadow = road * self.rng.uniform(0.6, 0.85)
            self._road_shadow(x, y, 0.2 * depth, 0.03 * depth, shadow)

    def _road_shadow(self, x, y, rx, ry, color):
        mask = np.asarray(self.label) == ROAD
        patch = Image.new("L", self.label.size)
        ImageDraw.Draw(patch).ellipse(self._points([(x - rx, y - ry), (x + rx, y + ry)]), fill=255)
        self.color.paste(_rgb(color), mask=Image.fromarray(np.asarray(patch) * mask))

    # --- objects, far to near ---------------------------------------------------------------

    def draw_objects(self):
        kinds = [self._tree] * self.rng.integers(1, 3)
        kinds += [self._car] * self.rng.integers(1, 5)
        kinds += [self._person] * self.rng.integers(2, 4)
        kinds += [self._lamp] * self.rng.integers(1, 3)
        kinds += [self._traffic_sign] * self.rng.integers(1, 3)
        depths = np.sort(self.rng.uniform(0.35, 0.95, len(kinds)))
        order = self.rng.permutation(len(kinds))
        for depth, index in zip(depths, order, strict=True):
            kinds[index](depth)

    def _kerbside(self, depth):
        side = self.rng.choice([-1, 1])
        x = self.edge(side, depth, self.rng.uniform(0.02, self.kerb * 0.9))
        return float(np.clip(x, 0.02, 0.98)), self.ground(depth)

    def _tree(self, depth):
        x, y = self._kerbside(depth)
        size = depth * self.rng.uniform(1.0, 1.4)
        leaf = np.array([self.rng.uniform(30, 110), self.rng.uniform(80, 150), 40])
        leaf = leaf + self.rng.normal(0, 15, 3)
        trunk = self.rng.uniform(0.018, 0.026) * size
        self.box(x - trunk, y - 0.35 * size, x + trunk, y, self.shade(40, 110), TREE)
        for _ in range(18):
            dx, dy = self.rng.normal(0, 0.05 * size), self.rng.normal(0, 0.08 * size)
            color = leaf * self.rng.uniform(0.55, 1.35)
            r = self.rng.uniform(0.05, 0.08) * size
            self.ellipse(x + dx, y - 0.5 * size + dy, r, 1.5 * r, color, TREE)

    def _car(self, depth):
        lane = self.rng.uniform(0.12, 0.88)
        left, right = self.edge(-1, depth), self.edge(1, depth)
        x, y = left + (right - left) * lane, self.ground(depth)
        w, h = depth * self.rng.uniform(0.28, 0.36), depth * self.rng.uniform(0.28, 0.36)
        body, glass = self.vivid(), self.shade(25, 120)
        self.ellipse(x, y, 0.55 * w, 0.06 * h, body * 0.25)
        for dx in (-0.36, 0.36):
            self.box(x + dx * w - 0.08 * w, y - 0.2 * h, x + dx * w + 0.08 * w, y, [18] * 3, CAR)
        self.box(x - w / 2, y - 0.62 * h, x + w / 2, y - 0.1 * h, body, CAR)
        roof = [(-0.44, -0.6), (-0.3, -1.0), (0.3, -1.0), (0.44, -0.6)]
        self.polygon([(x + a * w, y + b * h) for a, b in roof], body * 0.9, CAR)
        pane = [(-0.36, -0.63), (-0.26, -0.94), (0.26, -0.94), (0.36, -0.63)]
        self.polygon([(x + a * w, y + b * h) for a, b in pane], glass)
        lamp = self.rng.choice([[230, 225, 180], [200, 30, 30]])
        for dx in (-0.4, 0.4):
            self.ellipse(x + dx * w, y - 0.45 * h, 0.05 * w, 0.06 * h, lamp)
        self.box(x - 0.12 * w, y - 0.3 * h, x + 0.12 * w, y - 0.2 * h, [210] * 3)

    def _person(self, depth):
        x, y = self._kerbside(depth)
        if self.rng.random() < 0.2:
            x = float(np.clip(self.edge(-1, depth) + self.rng.uniform(0, 1), 0.05, 0.95))
        h = depth * self.rng.uniform(0.55, 0.7)
        w = h * self.rng.uniform(0.15, 0.18)
        shirt, trousers = self.clothes(), self.shade(20, 70)
        skin = np.array([205, 150, 120]) * self.rng.uniform(0.6, 1.1)
        spread = self.rng.uniform(0.1, 0.7) * w
        for sign in (-1, 1):
            hip, foot = x + sign * 0.4 * w, x + sign * (0.45 * w + spread)
            leg = [(hip - 0.4 * w, y - 0.5 * h), (hip + 0.4 * w, y - 0.5 * h)]
            leg += [(foot + 0.3 * w, y), (foot - 0.3 * w, y)]
            self.polygon(leg, trousers, PERSON)
        self.ellipse(x, y - 0.64 * h, 1.0 * w, 0.22 * h, shirt, PERSON)
        self.ellipse(x, y - 0.92 * h, 0.55 * w, 0.09 * h, skin, PERSON)

    def _post(self, x, y, w, h, metal):
        """An upright cylinder: dark, with a line of light along it."""
        self.box(x - w, y - h, x + w, y, metal, POLE)
        self.box(x - 0.5 * w, y - h, x - 0.1 * w, y, metal + 110)

    def _lamp(self, depth):
        x, y = self._kerbside(depth)
        h, w = depth * self.rng.uniform(0.9, 1.3), max(depth * 0.028, 0.018)
        metal = self.shade(25, 75, 5)
        arm = self.rng.choice([-1, 1]) * 0.09 * depth
        self._post(x, y, w, h, metal)
        x0, x1 = min(x, x + arm) - w, max(x, x + arm) + w
        self.box(x0, y - h - 0.02, x1, y - h + 0.02, metal, POLE)

    def _traffic_sign(self, depth):
        x, y = self._kerbside(depth)
        h, w = depth * self.rng.uniform(0.5, 0.7), max(depth * 0.024, 0.016)
        self._post(x, y, w, h, self.shade(25, 75, 5))
        r = max(depth * self.rng.uniform(0.09, 0.12), 0.045)
        rim = self.rng.choice([[205, 30, 35], [30, 60, 190], [235, 200, 30]])
        face = self.rng.choice([[235] * 3, [30, 60, 170], [230, 200, 30]])
        ratio = self.width / self.height
        cx, cy = x, y - h
        shape = self.rng.integers(3)
        for scale, color, label in ((1.0, rim, SIGN), (0.68, face, None)):
            self._sign_face(shape, (cx, cy), (r * scale, r * scale * ratio), color, label)

    def _sign_face(self, shape, center, radius, color, label):
        (x, y), (rx, ry) = center, radius
        if shape == 0:
            self.ellipse(x, y, rx, ry, color, label)
        elif shape == 1:
            self.polygon([(x, y - ry), (x + rx, y + ry), (x - rx, y + ry)], color, label)
        else:
            self.box(x - rx, y - ry, x + rx, y + ry, color, label)

    # --- light ------------------------------------------------------------------------------

    def photograph(self) -> np.ndarray:
        """Texture, light falloff, colour cast, exposure and sensor noise."""
        image = np.asarray(self.color).astype(np.float32)
        for cell in (3, 24):
            image *= 1 + 0.06 * _texture(self.rng, (self.height, self.width), cell)[..., None]
        image *= 1 + self.rng.uniform(-0.15, 0.15) * np.linspace(-1, 1, self.width)[:, None]
        image *= self.rng.uniform(0.65, 1.15) * self.rng.uniform(0.93, 1.07, 3)
        haze = self.rng.uniform(0, 0.15)
        image = image * (1 - haze) + 190 * haze
        image += self.rng.normal(0, self.rng.uniform(2, 6), image.shape)
        return np.clip(image, 0, 255).astype(np.uint8)


def _texture(rng, size: Size, cell: int) -> np.ndarray:
    """Smooth noise with features of about `cell` pixels."""
    coarse = rng.normal(0, 1, (size[0] // cell + 2, size[1] // cell + 2)).astype(np.float32)
    grown = Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)
    return np.asarray(grown)


def _rgb(color) -> tuple[int, int, int]:
    r, g, b = (int(np.clip(v, 0, 255)) for v in np.asarray(color, np.float64))
    return r, g, b

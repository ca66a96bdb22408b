"""Makes the pictures in this folder: kinds that looksee's own encoders cannot write.

All are 16 x 16 pixels, under 2 KB, drawn here and so free of rights.
Made with Python 3 and Pillow 13.0.0: python3 make.py
"""

from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
SIZE = (16, 16)
RED, BLUE = (200, 30, 30), (30, 30, 200)


def halves(left, right, mode="RGB"):
    """Left half in one colour, right half in another."""
    picture = Image.new(mode, SIZE, left)
    picture.paste(right, (8, 0, 16, 16))
    return picture


def orientation(number):
    exif = Image.Exif()
    exif[0x0112] = number
    return exif


def main():
    # Ink, not light: no cyan with full magenta and yellow is red, full cyan and magenta is blue.
    halves((0, 255, 255, 0), (255, 255, 0, 0), "CMYK").save(HERE / "cmyk.jpg", quality=90)
    halves(RED, BLUE).save(HERE / "progressive.jpg", quality=90, progressive=True)
    halves(64, 192, "L").save(HERE / "grey.jpg", quality=90)
    halves(RED, BLUE).save(HERE / "turned.webp", lossless=True, exif=orientation(6))
    halves(RED, BLUE).save(HERE / "turned.png", exif=orientation(6))

    deep = Image.new("I;16", SIZE)
    deep.putdata([0x4000 if i % 16 < 8 else 0xC0FF for i in range(256)])
    deep.save(HERE / "grey16.png")

    # Colour 0 of the palette is half transparent.
    palette = Image.new("P", SIZE, 0)
    palette.putpalette([*RED, *BLUE])
    palette.paste(1, (8, 0, 16, 16))
    palette.save(HERE / "palette.png", transparency=bytes([128, 255]))

    first, second = halves(RED, BLUE), halves(BLUE, RED)
    for name, options in {
        "animated.png": {},
        "animated.webp": {"lossless": True},
        "animated.gif": {},
    }.items():
        first.save(HERE / name, save_all=True, append_images=[second], duration=100, **options)


if __name__ == "__main__":
    main()
